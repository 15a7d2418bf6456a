#include <fmt/format.h>

#include <csignal>
#include <thread>

#include "base/wall_time.h"
#include "cli/common/log_query.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"

namespace havn::cli {

namespace {

// "2026-11-21T14:03:22.123Z web.1 ready → backoff: exit 1". Nothing for an event of somebody else.
std::string line_of(const Json& event, const InstanceName& wanted) {
    const std::string name = event.value("name", "");
    const std::uint32_t instance = event.value("instance", 1u);
    if (!wanted.name.empty() && wanted.name != name) return {};
    if (wanted.instance != 0 && wanted.instance != instance) return {};
    const bool is_part = event.value("kind", "") == "platform";
    const std::string label = is_part ? name : fmt::format("{}.{}", name, instance);
    const std::string cause = event.value("cause", "");
    return fmt::format("{} {} {} → {}{}\n", paint(Colour::faint, event.value("time", "")), paint_name(label),
                       event.value("from", ""), event.value("state", ""), cause.empty() ? "" : ": " + cause);
}

void show(const std::vector<LogEntry>& entries, const EventsOptions& options) {
    const InstanceName wanted = parse_instance(options.name);
    std::string text;
    for (const LogEntry& entry : entries) {
        const Result<Json> event = parse_json(entry.text);
        if (!event || !event->is_object()) continue;  // a line cut by a full disk
        const std::string line = line_of(*event, wanted);
        if (!line.empty()) text += options.json ? entry.text + "\n" : line;
    }
    if (!text.empty()) print(text);
}

}  // namespace

int events(const EventsOptions& options) {
    const Result<logs::LogQuery> query = query_of(options.span);
    if (!query) return print_error(query.error());
    const Result<std::string> data = find_data(options.place);
    if (!data) return print_error(data.error());
    const Platform platform(*data);
    logs::LogTail tail(platform.log_folder() + "/events.log");
    ::signal(SIGPIPE, SIG_DFL);  // `havn events | head` ends quietly
    std::vector<LogEntry> entries = tail.last(*query);
    do {
        show(entries, options);
        if (options.follow) std::this_thread::sleep_for(follow_interval);
        entries = options.follow ? tail.poll() : std::vector<LogEntry>{};
        std::erase_if(entries, [&](const LogEntry& entry) { return !query->wants(entry); });
    } while (options.follow && (!entries.empty() || platform.running()));
    return Exit::ok;
}

}  // namespace havn::cli
