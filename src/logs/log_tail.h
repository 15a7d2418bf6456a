// The end of a log file, and what is appended to it, across rotation by renaming (io/rotating_file.h).
//
// Blocking reads of local files, bounded per call. A line being written is held back until it is whole; one
// longer than `line_bytes_max` is cut in pieces. What a line says is base/log_line.h.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/log_line.h"
#include "io/fd.h"

namespace havn::logs {

// Which entries are wanted. An entry without a time is taken as being of the one before it.
struct LogQuery {
    static constexpr std::size_t lines_max = 1'000'000;

    std::size_t lines = 100;                          // the last so many of each log, at most lines_max
    std::optional<WallTime> since{};                  // not before
    std::optional<WallTime> until{};                  // not after
    std::function<bool(std::string_view)> matches{};  // of the text; empty: every one
    bool wants(const LogEntry& entry) const;
};

class LogTail {
  public:
    static constexpr std::size_t line_bytes_max = 64u << 10;

    // A file that is not there (yet) is an empty one.
    explicit LogTail(std::string path);

    // The wanted entries, oldest first; files set aside are read as far back as needed. Call it first, once.
    std::vector<LogEntry> last(const LogQuery& query);

    // The entries added since; of at most about 1 MiB of text.
    std::vector<LogEntry> poll();

    const std::string& path() const { return path_; }

  private:
    bool reopen();
    std::vector<std::string> read_lines();

    std::string path_;
    io::Fd file_;
    ino_t inode_ = 0;
    std::uint64_t position_ = 0;
    std::string partial_;
    LogAssembler assembler_;
};

struct LogSource {
    std::string name;            // of a program as it is shown: NAME, or APP/NAME
    std::uint32_t instance = 0;  // 0: the file has none (control.log, access.log)
    std::string path;
};

// The log files in `folder`, sorted by name and instance. `name` empty: those of instances of the
// application, none of the platform's own. `instance` 0: all.
std::vector<LogSource> find_logs(const std::string& folder, const std::string& name, std::uint32_t instance);

}  // namespace havn::logs
