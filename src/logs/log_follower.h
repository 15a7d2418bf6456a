// The lines of all logs that match a name, as `havn logs` shows them: the last ones, then what is added,
// instances that appear later included.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "logs/log_tail.h"

namespace havn::logs {

struct LogLine {
    std::string name;
    std::uint32_t instance = 0;
    LogEntry entry;
};

// {"time","stream","name","instance","line"}; time and stream where the line has one.
Json to_json(const LogLine& line);

class LogFollower {
  public:
    // As find_logs: an empty name means the application's instances, instance 0 all of them.
    LogFollower(std::string folder, std::string name, std::uint32_t instance);

    // The last wanted lines of each log, merged by time. Call it first, once.
    std::vector<LogLine> last(const LogQuery& query);
    std::vector<LogLine> last(std::size_t count) { return last(LogQuery{.lines = count}); }

    // What was added since, merged by time.
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

}  // namespace havn::logs
