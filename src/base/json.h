// The one place JSON enters: nlohmann's, for configuration and the control API, never on a hot path.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace havn {

using Json = nlohmann::json;

// Writing a document out takes a stack frame for each level.
inline constexpr std::size_t json_depth_max = 128;

// Text to value; throws nothing. Error::invalid names the byte and what stood there, a number that no double
// can hold, or a nesting deeper than json_depth_max.
Result<Json> parse_json(std::string_view text);

// The text at `key` of an object; empty if there is none, or something else stands there.
std::string text_of(const Json& object, const char* key);

// The whole number a value is, if it lies in [low, high]. Json::get() cuts a number to size in silence, which
// for a fraction is undefined.
template <std::integral Number>
std::optional<Number> integer_of(const Json& json, Number low = std::numeric_limits<Number>::min(),
                                 Number high = std::numeric_limits<Number>::max()) {
    const auto in_range = [&](auto wide) -> std::optional<Number> {
        if (std::cmp_less(wide, low) || std::cmp_greater(wide, high)) return std::nullopt;
        return static_cast<Number>(wide);
    };
    if (json.is_number_unsigned()) return in_range(json.get<std::uint64_t>());
    if (json.is_number_integer()) return in_range(json.get<std::int64_t>());
    return std::nullopt;
}

// The same for a document that is read with Json::at: throws Json::exception, as that does for what is
// missing.
template <std::integral Number>
Number integer_at(const Json& object, const char* key, Number low = std::numeric_limits<Number>::min(),
                  Number high = std::numeric_limits<Number>::max()) {
    if (const std::optional<Number> number = integer_of<Number>(object.at(key), low, high)) return *number;
    throw Json::out_of_range::create(406,
                                     std::string(key) + ": expected a whole number from " +
                                         std::to_string(low) + " to " + std::to_string(high),
                                     &object);
}

}  // namespace havn
