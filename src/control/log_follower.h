// The lines of all logs that match a name, as `havn logs` shows them: the last ones, then what is added,
// instances that appear later included.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/log_tail.h"

namespace havn::control {

struct LogLine {
    std::string name;
    std::uint32_t instance = 0;
    std::string text;
};

class LogFollower {
  public:
    // As find_logs: an empty name means the application's instances, instance 0 all of them.
    LogFollower(std::string folder, std::string name, std::uint32_t instance);

    // The last `count` lines of each log. Call it first, once.
    std::vector<LogLine> last(std::size_t count);

    // What was added since, log by log.
    std::vector<LogLine> poll();

    bool empty() const { return tails_.empty(); }

  private:
    struct Followed {
        LogSource source;
        LogTail tail;
    };
    void find_new();

    std::string folder_;
    std::string name_;
    std::uint32_t instance_;
    std::vector<Followed> tails_;
};

}  // namespace havn::control
