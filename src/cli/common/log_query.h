// Which lines of a log are meant, as `havn logs` and `havn events` take it on the command line.
#pragma once

#include <string>

#include "base/error.h"
#include "base/time.h"
#include "logs/log_tail.h"

namespace havn::cli {

// How often a log that is followed is looked at.
inline constexpr Duration follow_interval = milliseconds(100);

struct LogSpan {
    std::size_t lines = 0;     // 0: 100, or all of the span of time that is asked for
    std::string since, until;  // RFC 3339, or a duration: that long ago
    std::string grep;          // POSIX extended regular expression
};

// Error::invalid names the option and how it is written.
Result<logs::LogQuery> query_of(const LogSpan& span);

}  // namespace havn::cli
