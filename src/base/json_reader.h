// Reads one JSON object into typed values, with bounds: the only way a document of another process becomes a
// configuration.
//
//     JsonReader reader(json, "the desired state");
//     reader.number("revision", desired.revision, 0, UINT64_MAX);
//     reader.objects("programs", [&](JsonReader& item) { read_program(item, desired.programs.emplace_back());
//     }); reader.refuse_others(); return reader.result();
//
// The first thing that is wrong is kept, with its full path, what was expected and what was found; after it
// nothing is read any more, so a caller checks once, at the end. A value that is missing or null leaves its
// default. Every list, text and number has a bound; the defaults below hold where a call names none.
//
// A reader refers to the document and to its parent reader: both outlive it.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"

namespace havn {

class JsonReader {
  public:
    static constexpr std::size_t list_max = 100'000;   // elements
    static constexpr std::size_t text_max = 1u << 20;  // bytes
    static constexpr std::uint64_t duration_max_ms = 30ull * 24 * 3600 * 1000;

    // `document` names the whole in messages about it: "the desired state: expected an object, found []".
    JsonReader(const Json& json, std::string document);
    JsonReader(const JsonReader&) = delete;
    JsonReader& operator=(const JsonReader&) = delete;

    void text(std::string_view key, std::string& value, std::size_t bytes_max = text_max);
    void required_text(std::string_view key, std::string& value);
    void flag(std::string_view key, bool& value);
    template <std::unsigned_integral Number>
    void number(std::string_view key, Number& value, std::uint64_t low, std::uint64_t high) {
        std::uint64_t wide = value;
        read_number(key, wide, low, std::min<std::uint64_t>(high, Number(-1)));
        value = static_cast<Number>(wide);
    }
    void duration(std::string_view key, milliseconds& value, std::uint64_t low_ms = 0,
                  std::uint64_t high_ms = duration_max_ms);
    void texts(std::string_view key, std::vector<std::string>& values);
    void numbers(std::string_view key, std::vector<std::uint32_t>& values, std::uint32_t low,
                 std::uint32_t high);
    void texts_by_name(std::string_view key, std::map<std::string, std::string>& values);

    // Calls `read(JsonReader&)` for the object at `key`, if there is one.
    template <class Read>
    void object(std::string_view key, Read read) {
        const Json* found = find(key);
        if (!found) return;
        JsonReader item(*this, *found, full(key));
        if (!failed()) read(item);
    }

    // Calls `read(JsonReader&)` for each element of the list of objects at `key`.
    template <class Read>
    void objects(std::string_view key, Read read) {
        const Json* found = find_list(key, "a list of objects");
        if (!found) return;
        for (std::size_t i = 0; i < found->size() && !failed(); ++i) {
            JsonReader item(*this, (*found)[i], fmt::format("{}[{}]", full(key), i));
            if (!failed()) read(item);
        }
    }

    bool has(std::string_view key) const;

    // What the types cannot say: "routes[3].service: give exactly one of service and queue".
    void refuse(std::string_view key, std::string_view why, std::string remedy = {});
    void refuse_value(std::string_view key, std::string_view expected);

    // Refuses keys nobody has asked for so far.
    void refuse_others();

    bool failed() const { return root_->error_.has_value(); }
    Result<> result() const;

  private:
    JsonReader(JsonReader& parent, const Json& json, std::string path);
    const Json* find(std::string_view key);
    const Json* find_list(std::string_view key, std::string_view expected);
    void read_number(std::string_view key, std::uint64_t& value, std::uint64_t low, std::uint64_t high);
    std::string full(std::string_view key) const;
    void wrong(std::string_view key, std::string_view expected, const Json& found);

    JsonReader* root_;
    const Json& json_;
    std::string path_;  // of this object; of the root: what the document is called
    std::set<std::string, std::less<>> asked_;
    std::optional<Error> error_;  // of the root
};

}  // namespace havn
