// A line of an instance's log file: when it came, by which stream, what it says.
//
// The format is that of the Kubernetes container runtime interface, which log shippers read as it is:
//
//     2026-11-21T14:03:22.123Z stdout F the text of a whole line
//     2026-11-21T14:03:22.125Z stderr P the first piece of a line that goes on
//
// Streams are `stdout`, `stderr` and, for what the supervisor says of the instance (it started, it ended),
// `havn`. A line that arrives in pieces is written piece by piece, P for each but the last; pieces of the two
// streams may stand between each other. What `havn` says ends every line that was begun. Lines of Havn's own
// parts have no stream: only their first word is a time.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace havn {

inline constexpr std::string_view supervisor_stream = "havn";

// Appends to `out` what a log file gets for `bytes`, which came at `time` (RFC 3339).
void append_log_lines(std::string& out, std::string_view time, std::string_view stream,
                      std::string_view bytes);

struct LogEntry {
    WallTime time{};     // the epoch when the line does not say
    std::string stream;  // empty for a line of a part
    std::string text;
};

// Makes entries of the lines of one file, in their order: joins pieces, and bounds what they may add up to.
class LogAssembler {
  public:
    static constexpr std::size_t text_max = 256u << 10;  // bytes; a longer line comes in several entries

    // `line` without its newline; appends the entries it completes.
    void add(std::string_view line, std::vector<LogEntry>& entries);

    // Appends what was begun and not ended, when nothing more comes.
    void finish(std::vector<LogEntry>& entries);

  private:
    std::map<std::string, LogEntry, std::less<>> begun_;  // by stream
};

}  // namespace havn
