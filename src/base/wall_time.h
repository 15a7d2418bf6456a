// Moments for people: RFC 3339 in UTC, with milliseconds, and back.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"

namespace havn {

inline constexpr std::size_t rfc3339_size = 24;

// "2026-11-21T14:03:22.123Z", always 24 characters; years 0000 to 9999.
std::string to_rfc3339(WallTime time);
void write_rfc3339(WallTime time, std::span<char, rfc3339_size> out);  // the same, without a string

// A date and time with `Z` or a numeric offset, with or without a fraction of a second (RFC 3339 §5.6), which
// is kept to the microsecond. Nothing when `text` is anything else.
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace havn
