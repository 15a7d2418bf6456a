#include "cli/common/events.h"

#include <fmt/format.h>

#include "cli/common/terminal.h"
#include "logs/log_follower.h"

namespace havn::cli {

namespace {

constexpr std::size_t failure_lines = 15;

std::string label_of(const Json& event) {
    return fmt::format("{}.{}", event.value("name", ""), event.value("instance", 1));
}

}  // namespace

void EventPrinter::on(const Json& event) {
    const std::string kind = event.value("event", "");
    if (kind == "accepted") {
        accepted(event);
    } else if (kind == "state" && show_.steps) {
        state(event);
    } else if (kind == "problem" && show_.steps) {
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
    if (!show_.plan) return;
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
    const std::string label = label_of(event);
    print(fmt::format("  {} {} failed: {}\n", paint(Colour::red, "✗"), label, event.value("message", "")));
    if (event.value("message", "").find("not ready") != std::string::npos) {
        print(
            "    a service is ready when it accepts connections on 127.0.0.1:$PORT; the variable is set for "
            "it\n");
    }
    logs::LogFollower log(log_folder_, event.value("name", ""), event.value("instance", 1u));
    const std::vector<logs::LogLine> lines = log.last(failure_lines);
    if (lines.empty()) {
        print("    it printed nothing\n");
    } else {
        print("    the last it printed:\n");
        for (const logs::LogLine& line : lines) print(fmt::format("    | {}\n", line.entry.text));
    }
    print(fmt::format(
        "    see `havn logs {}`; correct it and type `havn up` again; it is retried meanwhile\n", label));
}

std::string EventPrinter::cause() const {
    return ok_ ? "" : done_.value("message", "");
}

Result<> follow_change(const Platform& platform, const std::string& target, const Json& body,
                       EventPrinter& printer) {
    // A change may have to wait for its turn; whether anybody answers at all shows sooner.
    if (const Result<Json> there = platform.get("/v1/status"); !there) return std::unexpected(there.error());
    return platform.stream("POST", target, body, [&printer](const Json& event) {
        printer.on(event);
        return true;
    });
}

}  // namespace havn::cli
