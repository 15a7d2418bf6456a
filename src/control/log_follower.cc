#include "control/log_follower.h"

#include <algorithm>

namespace havn::control {

LogFollower::LogFollower(std::string folder, std::string name, std::uint32_t instance)
    : folder_(std::move(folder)), name_(std::move(name)), instance_(instance) {
    find_new();
}

void LogFollower::find_new() {
    for (LogSource& source : find_logs(folder_, name_, instance_)) {
        const bool known = std::ranges::any_of(
            tails_, [&source](const Followed& followed) { return followed.source.path == source.path; });
        if (known) continue;
        LogTail tail(source.path);
        tails_.push_back({std::move(source), std::move(tail)});
    }
}

static void add(std::vector<LogLine>& lines, const LogSource& source, std::vector<std::string> texts) {
    for (std::string& text : texts) lines.push_back({source.name, source.instance, std::move(text)});
}

std::vector<LogLine> LogFollower::last(std::size_t count) {
    std::vector<LogLine> lines;
    for (Followed& followed : tails_) add(lines, followed.source, followed.tail.last(count));
    return lines;
}

std::vector<LogLine> LogFollower::poll() {
    find_new();
    std::vector<LogLine> lines;
    for (Followed& followed : tails_) add(lines, followed.source, followed.tail.poll());
    return lines;
}

}  // namespace havn::control
