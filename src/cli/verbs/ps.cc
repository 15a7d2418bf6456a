#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "cli/common/health.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/clock.h"

namespace havn::cli {

namespace {

constexpr Duration watch_interval = seconds(1);

std::string coloured_state(const std::string& state) {
    if (state == "ready") return paint(Colour::green, state);
    if (state == "backoff" || state == "unready" || state == "killing") return paint(Colour::red, state);
    return paint(Colour::yellow, state);
}

std::string rendered(const Json& rows) {
    const WallTime now = io::wall_now();
    std::vector<std::vector<std::string>> cells{
        {"NAME", "KIND", "STATE", "SINCE", "PID", "RESTARTS", "LAST EXIT", ""}};
    for (const Json& row : rows) {
        if (!row.is_object()) continue;
        const bool alive = row.contains("pid") && row["pid"].is_number_integer() && row["pid"] != 0;
        const std::string state = row.value("state", "");
        cells.push_back({fmt::format("{}.{}", row.value("name", ""), row.value("instance", 1)),
                         row.value("kind", ""), coloured_state(state), since_of(row, now),
                         alive ? row["pid"].dump() : "-", std::to_string(row.value("restarts", 0)),
                         last_exit_of(row, now), note_of(row, now)});
    }
    return table(cells);
}

// What runs in other numbers than the manifest says.
std::string scale_notes(const Platform& platform) {
    const Result<Json> scaled = platform.get("/v1/scale");
    std::string text;
    if (!scaled) return text;  // a platform from before does not know
    for (const Json& one : *scaled) text += text_of(one, "text") + "\n";
    return text;
}

int show_once(const PsOptions& options, const Platform& platform, bool clear) {
    const Result<Json> rows = platform.processes();
    if (!rows) {
        if (options.quiet) return Exit::failed;
        return print_error(rows.error());
    }
    const std::vector<std::string> complaints = complaints_about(*rows, io::wall_now());
    if (options.json) {
        print_json(*rows);
    } else if (!options.quiet) {
        std::string text = (clear ? "\x1b[H\x1b[2J" : "") + rendered(*rows);
        text += scale_notes(platform);
        for (const std::string& line : refusal_lines(*rows)) text += paint(Colour::red, line) + "\n";
        for (const std::string& line : broker_lines(*rows)) text += paint(Colour::red, line) + "\n";
        for (const std::string& line : gateway_lines(*rows)) text += paint(Colour::yellow, line) + "\n";
        for (const std::string& line : broker_notes(*rows)) text += paint(Colour::yellow, line) + "\n";
        print(text);
    }
    return complaints.empty() ? Exit::ok : Exit::failed;
}

}  // namespace

int ps(const PsOptions& options) {
    const Result<std::string> data = find_data(options.place);
    if (!data) return options.quiet ? Exit::failed : print_error(data.error());
    const Platform platform(*data);
    if (!options.watch) return show_once(options, platform, false);
    while (platform.running()) {
        show_once(options, platform, is_terminal());
        std::this_thread::sleep_for(watch_interval);
    }
    return print_error(Platform::not_running());
}

}  // namespace havn::cli
