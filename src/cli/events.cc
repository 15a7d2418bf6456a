#include "cli/events.h"

#include <fmt/format.h>

#include "cli/terminal.h"
#include "control/log_follower.h"

namespace havn::cli {

static constexpr std::size_t failure_lines = 15;

static std::string label_of(const Json& event) {
    return fmt::format("{}.{}", event.value("name", ""), event.value("instance", 1));
}

void EventPrinter::on(const Json& event) {
    const std::string kind = event.value("event", "");
    if (kind == "accepted") {
        accepted(event);
    } else if (kind == "state") {
        state(event);
    } else if (kind == "problem") {
        print(fmt::format("  {} {}: {}\n", paint(Colour::yellow, "!"), label_of(event),
                          event.value("message", "")));
    } else if (kind == "failed") {
        failed(event);
    } else if (kind == "done") {
        finished_ = true;
        ok_ = event.value("ok", false);
        done_ = event;
    }
}

void EventPrinter::accepted(const Json& event) {
    changed_ = event.value("changed", false);
    if (!show_plan_) return;
    const std::string text = event.value("text", "");
    print(changed_ ? text : "no changes\n");
}

// Only what has arrived where it is going is worth a line.
void EventPrinter::state(const Json& event) {
    if (event.value("state", "") != "ready") return;
    print(fmt::format("  {} {} {}\n", paint(Colour::green, "✓"), label_of(event),
                      paint(Colour::faint, fmt::format("ready, pid {}", event.value("pid", 0)))));
}

void EventPrinter::failed(const Json& event) {
    const std::string name = event.value("name", "");
    if (name.empty()) {
        print(fmt::format("  {} {}\n", paint(Colour::red, "✗"), event.value("message", "")));
        for (const Json& missing : event.value("log", Json::array())) {
            print(fmt::format("    {}\n", missing.get<std::string>()));
        }
        return;
    }
    const std::string label = label_of(event);
    print(fmt::format("  {} {} failed: {}\n", paint(Colour::red, "✗"), label, event.value("message", "")));
    control::LogFollower log(log_folder_, name, event.value("instance", 1u));
    const std::vector<control::LogLine> lines = log.last(failure_lines);
    if (lines.empty()) {
        print("    it printed nothing\n");
    } else {
        print("    the last it printed:\n");
        for (const control::LogLine& line : lines) print(fmt::format("    | {}\n", line.text));
    }
    print(fmt::format(
        "    see `havn logs {}`; correct it and type `havn up` again; it is retried meanwhile\n", label));
}

}  // namespace havn::cli
