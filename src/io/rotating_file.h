// A log file that is set aside when it passes a size: `x.log` becomes `x.log.1`, that `x.log.2`, …
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/fd.h"

namespace havn::io {

class RotatingFile {
  public:
    struct Limits {
        std::uint64_t bytes = 50u << 20;  // rotate before a write would pass this
        unsigned backups = 10;            // how many are kept beside the live one
    };

    RotatingFile(std::string path, Limits limits) : path_(std::move(path)), limits_(limits) {}

    // Opens on first use. A line is never split over two files. On failure nothing of `data` counts as kept;
    // the next call tries anew, so a full disk loses lines but stops nothing.
    Result<> write(std::string_view data);

    const std::string& path() const { return path_; }

  private:
    Result<> open();
    Result<> rotate();

    std::string path_;
    Limits limits_;
    Fd file_;
    std::uint64_t size_ = 0;
    bool mid_line_ = false;  // the last write ended within a line
};

}  // namespace havn::io
