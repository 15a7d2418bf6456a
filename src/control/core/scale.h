// How many instances run where that is not what the manifest says: counts that `havn scale` and, later, an
// autoscaler set beside the revisions.
//
// A count stands over the number that the manifest said when it was set. It stays as long as the manifest
// says that number, whatever else a new manifest changes, and ends when the number changes, when the program
// goes, or when it is taken back. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "manifest/model.h"

namespace havn::control {

inline constexpr std::uint32_t instances_max = 1'000;  // of one program

// What is asked of `scale`: a count for each program, nothing for "as the manifest says".
using Counts = std::map<std::string, std::optional<std::uint32_t>>;

// {"NAME": COUNT or null, …}. Error::invalid says what is allowed.
Result<Counts> counts_from_json(const Json& json);

// Error::not_found when the manifest has no service or worker of one of these names; it names those it has.
Result<> check_names(const Counts& counts, const manifest::Manifest& manifest);

class ScaleTable {
  public:
    struct Entry {
        std::uint32_t count = 0;
        std::uint32_t over = 0;  // what the manifest said
        bool operator==(const Entry&) const = default;
    };
    // An entry that holds, with what it is of.
    struct Scaled {
        std::string name;
        std::uint32_t count = 0, over = 0;
    };

    // The counts are those of programs of the manifest. One that is the manifest's own number ends the scale.
    void set(const std::string& app, const Counts& counts, const manifest::Manifest& manifest);

    // Forgets what `manifest`, now the application's, has ended.
    void end_for(const std::string& app, const manifest::Manifest& manifest);

    // What holds over the manifest, by name.
    std::vector<Scaled> holding(const std::string& app, const manifest::Manifest& manifest) const;

    bool operator==(const ScaleTable&) const = default;

  private:
    friend Json to_json(const ScaleTable& table);
    friend Result<ScaleTable> scale_table_from_json(const Json& json);

    std::map<std::string, std::map<std::string, Entry>> entries_;  // by application, then by program
};

// docs/formats/revisions.md. Error::invalid names what is missing or wrong.
Json to_json(const ScaleTable& table);
Result<ScaleTable> scale_table_from_json(const Json& json);

// The manifest as it runs: with the counts that hold over it.
manifest::Manifest with_counts(manifest::Manifest manifest, const std::vector<ScaleTable::Scaled>& scaled);

// "web is scaled to 3; the manifest says 2"
std::string sentence(const ScaleTable::Scaled& scaled);
Json to_json(const ScaleTable::Scaled& scaled);  // {"name","instances","manifest","text"}

}  // namespace havn::control
