// The end of a log file, and what is appended to it, across rotation by renaming (io/rotating_file.h).
//
// Blocking reads of a local file, bounded per call. Lines come without their newline; a line being written is
// held back until it is whole; one longer than `line_bytes_max` is cut in pieces.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "io/fd.h"

namespace havn::control {

class LogTail {
  public:
    static constexpr std::size_t line_bytes_max = 64u << 10;

    // A file that is not there (yet) is an empty one.
    explicit LogTail(std::string path);

    // The last `count` whole lines, the next older file's included when the live one is short. Call it first,
    // once.
    std::vector<std::string> last(std::size_t count);

    // The whole lines added since; at most about 1 MiB of them.
    std::vector<std::string> poll();

    const std::string& path() const { return path_; }

  private:
    bool reopen();
    std::vector<std::string> read_lines();

    std::string path_;
    io::Fd file_;
    ino_t inode_ = 0;
    std::uint64_t position_ = 0;
    std::string partial_;
};

struct LogSource {
    std::string name;
    std::uint32_t instance = 0;  // 0: the file has none (control.log, access.log)
    std::string path;
};

// The log files in `folder`, sorted by name and instance. `name` empty: those of instances of the
// application, none of the platform's own. `instance` 0: all.
std::vector<LogSource> find_logs(const std::string& folder, const std::string& name, std::uint32_t instance);

}  // namespace havn::control
