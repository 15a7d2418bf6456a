#include "cli/common/health.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

#include "base/wall_time.h"
#include "cli/common/terminal.h"

namespace havn::cli {

namespace {

constexpr auto good_life = std::chrono::seconds(60);

std::optional<WallTime> time_of(const Json& row, const char* key) {
    return parse_rfc3339(text_of(row, key));
}

double seconds_between(WallTime from, WallTime to) {
    return std::chrono::duration<double>(to - from).count();
}

bool is_wanted(const Json& row) {
    return row.is_object() && !(row.contains("outdated") && row["outdated"] == true);
}

// It ended so often that the next end has a pause, and its present life is not long enough to have stopped
// that.
bool keeps_ending(const Json& row, WallTime now) {
    if (!row.contains("failing") || row["failing"] != true) return false;
    const std::optional<WallTime> since = time_of(row, "since");
    return !since || now - *since < good_life;
}

}  // namespace

std::string since_of(const Json& row, WallTime now) {
    const std::optional<WallTime> since = time_of(row, "since");
    return since ? age(seconds_between(*since, now)) : "-";
}

std::string last_exit_of(const Json& row, WallTime now) {
    const std::string exit = text_of(row, "exit");
    const std::optional<WallTime> at = time_of(row, "exited_at");
    if (exit.empty() || !at) return exit;
    return fmt::format("{}, {} ago", exit, age(seconds_between(*at, now)));
}

std::string note_of(const Json& row, WallTime now) {
    std::vector<std::string> notes;
    if (!is_wanted(row)) notes.emplace_back("gives way");
    if (row.contains("refuses")) notes.emplace_back("refuses its configuration");
    const std::string state = text_of(row, "state");
    const std::string error = text_of(row, "error"), reason = text_of(row, "reason");
    if (!error.empty()) {
        notes.push_back(error);
    } else if (!reason.empty() && state != "ready") {
        notes.push_back(reason);
    }
    if (state == "ready" && keeps_ending(row, now)) notes.emplace_back("keeps ending");
    const auto waits = row.find("waits_for");
    if (waits != row.end() && waits->is_array() && !waits->empty()) {
        std::vector<std::string> names;
        for (const Json& name : *waits) {
            if (name.is_string()) names.push_back(name.get<std::string>());
        }
        notes.push_back(fmt::format("waits for {}", fmt::join(names, ", ")));
    }
    const std::optional<WallTime> retry = time_of(row, "retry_at");
    if (retry && state == "backoff") {
        const double left = seconds_between(now, *retry);
        notes.push_back(left > 0 ? "next start in " + age(left) : "starts now");
    }
    return fmt::format("{}", fmt::join(notes, "; "));
}

std::vector<std::string> refusal_lines(const Json& rows) {
    std::vector<std::string> lines;
    for (const Json& row : rows) {
        if (!is_wanted(row) || !row.contains("refuses") || !row["refuses"].is_object()) continue;
        const Json& refuses = row["refuses"];
        const std::string message = text_of(refuses, "message"), remedy = text_of(refuses, "remedy");
        lines.push_back(fmt::format("{} refuses its configuration: {}{}{}", text_of(row, "name"), message,
                                    remedy.empty() ? "" : "\n  ", remedy));
    }
    return lines;
}

std::vector<std::string> broker_lines(const Json& rows) {
    std::vector<std::string> lines;
    for (const Json& row : rows) {
        if (!is_wanted(row) || !row.contains("broker") || !row["broker"].is_object()) continue;
        const Json& broker = row["broker"];
        const std::string message = text_of(broker, "message");
        if (!message.empty()) {
            lines.push_back("broker: " + message);
        } else if (broker.contains("held_back") && broker["held_back"] == true) {
            const std::string why = text_of(broker, "reason");
            lines.push_back(fmt::format("broker: {}; publishers are held back until that has passed",
                                        why.empty() ? "the disk is full, or nearly" : why));
            lines.emplace_back("  free space where the data folder is, or empty a queue: `havn queue`");
        }
        if (const std::string failure = text_of(broker, "read_failure"); !failure.empty()) {
            lines.push_back("broker: messages cannot be read back just now: " + failure);
        }
    }
    return lines;
}

std::vector<std::string> gateway_lines(const Json& rows, bool unwell) {
    std::vector<std::string> lines;
    for (const Json& row : rows) {
        if (!is_wanted(row) || !row.contains("gateway") || !row["gateway"].is_object()) continue;
        const Json& gateway = row["gateway"];
        if (const std::string message = text_of(gateway, "message"); !message.empty()) {
            lines.push_back("gateway: " + message);
        }
        const auto short_of = gateway.find("short_of");
        if (short_of == gateway.end() || !short_of->is_array()) continue;
        for (const Json& one : *short_of) {
            if (!one.is_object() || (unwell && !(one.contains("unwell") && one["unwell"] == true))) continue;
            lines.push_back("gateway: " + text_of(one, "message"));
        }
    }
    return lines;
}

std::vector<std::string> broker_notes(const Json& rows) {
    std::vector<std::string> notes;
    for (const Json& row : rows) {
        if (!is_wanted(row) || !row.contains("broker") || !row["broker"].is_object()) continue;
        const auto found = row["broker"].find("connections_not_read");
        if (found == row["broker"].end()) continue;
        const std::optional<std::uint64_t> not_read = integer_of<std::uint64_t>(*found, 1);
        if (!not_read) continue;
        notes.push_back(
            fmt::format("broker: {} of its clients leave unread what they were sent, and are not read until "
                        "they read it: `havn logs broker` names them",
                        *not_read));
    }
    return notes;
}

std::vector<std::string> complaints_about(const Json& rows, WallTime now) {
    std::vector<std::string> complaints;
    for (const Json& row : rows) {
        if (!is_wanted(row)) continue;
        const std::string state = text_of(row, "state");
        if (state == "ready" && !keeps_ending(row, now)) continue;
        const std::string error = text_of(row, "error"), exit = text_of(row, "exit");
        const std::string why = !error.empty() ? error : exit;
        const std::string shown = state == "ready" ? "ready, but keeps ending" : state;
        complaints.push_back(fmt::format("{}.{} is {}{}", text_of(row, "name"),
                                         row.contains("instance") ? row["instance"].dump() : "1", shown,
                                         why.empty() ? "" : ": " + why));
    }
    for (std::string& line : refusal_lines(rows)) complaints.push_back(std::move(line));
    for (std::string& line : broker_lines(rows)) complaints.push_back(std::move(line));
    for (std::string& line : gateway_lines(rows, true)) complaints.push_back(std::move(line));
    return complaints;
}

}  // namespace havn::cli
