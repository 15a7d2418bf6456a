#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "base/wall_time.h"
#include "cli/common/log_query.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/clock.h"
#include "logs/log_follower.h"

namespace havn::cli {

InstanceName parse_instance(const std::string& text) {
    const std::size_t dot = text.rfind('.');
    const std::string digits = dot == std::string::npos ? "" : text.substr(dot + 1);
    const bool numbered = !digits.empty() && digits.size() < 7 &&
                          std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
    if (!numbered) return {text, 0};
    return {text.substr(0, dot), static_cast<std::uint32_t>(std::stoul(digits))};
}

namespace {

std::string label_of(const logs::LogLine& line) {
    return line.instance == 0 ? line.name : fmt::format("{}.{}", line.name, line.instance);
}

char mark_of(const LogEntry& entry) {
    if (entry.stream == "stderr") return '!';
    return entry.stream == supervisor_stream ? '=' : '|';
}

void show(const std::vector<logs::LogLine>& lines, const LogsOptions& options, std::size_t width) {
    std::string text;
    for (const logs::LogLine& line : lines) {
        if (options.json) {
            text += to_json(line).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
            continue;
        }
        // A line of Havn's own parts carries its time itself.
        if (!line.entry.stream.empty()) text += paint(Colour::faint, to_rfc3339(line.entry.time)) + " ";
        const std::string label = label_of(line);
        text += paint_name(label) + std::string(label.size() < width ? width - label.size() : 0, ' ') +
                paint(Colour::faint, fmt::format(" {} ", mark_of(line.entry))) + line.entry.text + "\n";
    }
    if (!text.empty()) print(text);
}

Error unknown_log(const std::string& folder, const std::string& name) {
    if (name == "keeper") {
        return {Error::Kind::not_found, "the keeper has no log of its own", "see `havn logs supervisor`"};
    }
    if (name == "access") {
        return {Error::Kind::not_found, "no request has been logged yet",
                "the access log begins with the first request; `havn logs -f access` waits for it"};
    }
    std::string known;
    for (const logs::LogSource& source : logs::find_logs(folder, "", 0)) {
        if (known.find(source.name) == std::string::npos) known += (known.empty() ? "" : ", ") + source.name;
    }
    for (const char* part : {"gateway", "broker", "control", "supervisor", "access"}) {
        struct stat status{};
        if (::stat((folder + "/" + part + ".log").c_str(), &status) != 0) continue;
        known += (known.empty() ? "" : ", ") + std::string(part);
    }
    const std::string remedy = known.empty() ? "start the platform with `havn up`" : "there are: " + known;
    return {Error::Kind::not_found, name.empty() ? "no logs yet" : fmt::format("no log of '{}'", name),
            remedy};
}

}  // namespace

int logs(const LogsOptions& options) {
    const Result<logs::LogQuery> query = query_of(options.span);
    if (!query) return print_error(query.error());
    const Result<std::string> data = find_data(options.place);
    if (!data) return print_error(data.error());
    const Platform platform(*data);
    const InstanceName wanted = parse_instance(options.name);
    logs::LogFollower follower(platform.log_folder(), wanted.name, wanted.instance);
    const bool may_come = options.follow && platform.running();
    if (follower.empty() && !may_come) return print_error(unknown_log(platform.log_folder(), options.name));
    ::signal(SIGPIPE, SIG_DFL);  // `havn logs | head` ends quietly
    std::vector<logs::LogLine> lines = follower.last(*query);
    std::size_t width = 0;
    do {
        for (const logs::LogLine& line : lines) width = std::max(width, label_of(line).size());
        show(lines, options, width);
        if (options.follow) std::this_thread::sleep_for(follow_interval);
        lines = options.follow ? follower.poll() : std::vector<logs::LogLine>{};
        std::erase_if(lines, [&](const logs::LogLine& line) { return !query->wants(line.entry); });
    } while (options.follow && (!lines.empty() || platform.running()));
    return Exit::ok;
}

}  // namespace havn::cli
