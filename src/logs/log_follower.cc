#include "logs/log_follower.h"

#include <algorithm>

#include "base/wall_time.h"

namespace havn::logs {

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

Json to_json(const LogLine& line) {
    Json json{{"name", line.name}, {"instance", line.instance}, {"line", line.entry.text}};
    if (line.entry.time != WallTime{}) json["time"] = to_rfc3339(line.entry.time);
    if (!line.entry.stream.empty()) json["stream"] = line.entry.stream;
    return json;
}

namespace {

void add(std::vector<LogLine>& lines, const LogSource& source, std::vector<LogEntry> entries) {
    for (LogEntry& entry : entries) lines.push_back({source.name, source.instance, std::move(entry)});
}

// Lines of one moment stay in the order they have.
std::vector<LogLine> by_time(std::vector<LogLine> lines) {
    std::vector<std::pair<WallTime, std::size_t>> order;
    for (const LogLine& line : lines) order.emplace_back(line.entry.time, order.size());
    std::ranges::sort(order);
    std::vector<LogLine> sorted;
    for (const auto& [time, at] : order) sorted.push_back(std::move(lines[at]));
    return sorted;
}

}  // namespace

std::vector<LogLine> LogFollower::last(const LogQuery& query) {
    std::vector<LogLine> lines;
    for (Followed& followed : tails_) add(lines, followed.source, followed.tail.last(query));
    return by_time(std::move(lines));
}

std::vector<LogLine> LogFollower::poll() {
    find_new();
    std::vector<LogLine> lines;
    for (Followed& followed : tails_) add(lines, followed.source, followed.tail.poll());
    return by_time(std::move(lines));
}

}  // namespace havn::logs
