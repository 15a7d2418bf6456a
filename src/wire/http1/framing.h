// What a head says about where its message ends and how the connection goes on: the one place that decides,
// so that there is one place to attack. RFC 9112 §6, §3.2, §9.3; RFC 9110 §7.2, §7.6.1.
//
// Whatever could be read in two ways is refused: Content-Length beside Transfer-Encoding, either of them
// twice, lengths that are not plain digits, codings other than one `chunked`, more or less than one Host,
// more than 16 options in Connection. A response alone may repeat one length (RFC 9110 §8.6).
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "wire/http1/head.h"

namespace havn::http1 {

struct Framing {
    enum class Kind : std::uint8_t { none, length, chunked, until_close };
    Kind kind = Kind::none;
    std::uint64_t length = 0;  // of Kind::length; a length of 0 is Kind::none for a request
    bool operator==(const Framing&) const = default;
};

// The names in Connection beyond those of hop-by-hop fields: fields that end here as well.
struct Nominated {
    static constexpr std::size_t options_max = 16;  // all options of Connection
    std::array<std::string_view, options_max> names;
    std::uint8_t count = 0;

    bool contains(std::string_view name) const {
        for (std::size_t i = 0; i < count; ++i) {
            if (equal_ignoring_case(names[i], name)) return true;
        }
        return false;
    }
};

struct RequestFacts {
    Framing body;
    bool keep_alive = false;
    bool expects_continue = false;  // Expect: 100-continue of a 1.1 client
    bool expects_other = false;     // may be answered 417
    Nominated nominated;
    std::string_view upgrade;  // Upgrade, when Connection names it in a 1.1 request
    std::string_view host;  // with port; of an absolute-form target before that of Host; may be empty in 1.0
    std::string_view path;  // path and query, or "*"; empty for CONNECT
    bool absolute = false;  // the target was in absolute form: Host must be written anew
};

struct ResponseFacts {
    Framing body;  // as it comes from the connection
    bool keep_alive = false;
    Nominated nominated;
    std::string_view upgrade;
    // Content-Length stood there more than once, always with this value: it is to be written anew.
    std::optional<std::uint64_t> folded_length;
};

std::expected<RequestFacts, Rule> inspect(const RequestHead& head);

// `method` is the request's: HEAD has no body, nor have 1xx, 204 and 304, whatever the fields say.
std::expected<ResponseFacts, Rule> inspect(const ResponseHead& head, Method method);

// Digits only, below 2^63.
std::expected<std::uint64_t, Rule> parse_length(std::string_view value);

// Calls `function(item)` for each non-empty item of a comma-separated list, white space removed.
template <class Function>
void for_each_item(std::string_view list, Function function) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        std::string_view item = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
        while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
        while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
        if (!item.empty()) function(item);
    }
}

}  // namespace havn::http1
