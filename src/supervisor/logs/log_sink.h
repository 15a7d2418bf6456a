// Where the lines of a log end up: a file that is set aside by size, or what a test puts in its place.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/rotating_file.h"

namespace havn::supervisor {

// Called on the writer's thread alone; a call may take as long as the disk does.
class LogSink {
  public:
    virtual ~LogSink() = default;
    // On an error nothing of `data` counts as kept, and the next call tries anew.
    virtual Result<> write(std::string_view data) = 0;
};

using OpenLogSink =
    std::function<std::unique_ptr<LogSink>(const std::string& path, io::RotatingFile::Limits limits)>;

// A RotatingFile.
std::unique_ptr<LogSink> open_log_file(const std::string& path, io::RotatingFile::Limits limits);

}  // namespace havn::supervisor
