// Durations and sizes as people write them, and back.
//
// A duration is one or more whole numbers each with a unit, largest unit first, each unit once:
// d, h, m, s, ms ("50ms", "1m30s", "0s"). A size is a whole number with a unit: B, K, M, G or T, each 1024 of
// the one before; "KB"/"KiB" and lower case mean the same. Both refuse a missing unit, a sign, a fraction,
// and what does not fit (2^53 ms, 2^63-1 bytes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace havn {

Result<milliseconds> parse_duration(std::string_view text);
Result<std::uint64_t> parse_size(std::string_view text);

// The shortest text that parses back to the value: "1m30s", "0s"; "256M", "1000B".
std::string format_duration(milliseconds duration);  // not negative
std::string format_size(std::uint64_t bytes);

}  // namespace havn
