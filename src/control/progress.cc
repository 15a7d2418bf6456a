#include "control/progress.h"

#include <fmt/format.h>

#include <algorithm>

namespace havn::control {

static std::string label_of(const Json& row) {
    return fmt::format("{}.{}", row.value("name", ""), row.value("instance", 1));
}

static int pid_of(const Json& row) {
    return row.contains("pid") && row["pid"].is_number_integer() ? row["pid"].get<int>() : 0;
}

// How the supervisor tells of a life that was no good: `error` while there is none, `exit` of the last one.
static std::string reason_of(const Json& row) {
    const std::string error = row.value("error", "");
    const std::string exit = row.value("exit", "");
    if (!error.empty()) return error;
    return exit.empty() ? "it ended" : "it ended with " + exit;
}

Progress::Progress(const supervisor::Desired& wanted, const Json& before, std::set<int> old_pids, Time now)
    : wanted_(wanted), began_(now), old_pids_(std::move(old_pids)) {
    for (const Json& row : before) {
        seen_[label_of(row)] = {row.value("state", ""), row.value("restarts", 0u), pid_of(row)};
        restarts_at_start_[label_of(row)] = row.value("restarts", 0u);
    }
}

std::set<int> Progress::pids_of(const Json& processes, const std::set<std::string>& names, int instance) {
    std::set<int> pids;
    for (const Json& row : processes) {
        const bool meant =
            names.contains(row.value("name", "")) && (instance == 0 || row.value("instance", 1) == instance);
        if (meant && pid_of(row) > 0) pids.insert(pid_of(row));
    }
    return pids;
}

std::set<std::string> Progress::replaced(const supervisor::Desired& from, const supervisor::Desired& to) {
    std::set<std::string> names;
    for (const supervisor::Program& after : to.programs) {
        const auto before = std::ranges::find(from.programs, after.name, &supervisor::Program::name);
        if (before == from.programs.end()) continue;
        supervisor::Program same_count = *before;
        same_count.instances = after.instances;
        if (same_count != after) names.insert(after.name);
    }
    return names;
}

std::vector<Json> Progress::on(const Json& processes, Time now) {
    std::vector<Json> events;
    for (const Json& row : processes) look_at(row, now, events);
    count(processes);
    return events;
}

void Progress::look_at(const Json& row, Time now, std::vector<Json>& events) {
    if (old_pids_.contains(pid_of(row))) return;  // on its way out
    const std::string label = label_of(row);
    const Seen current{row.value("state", ""), row.value("restarts", 0u), pid_of(row)};
    const auto [known, is_new] = seen_.try_emplace(label);
    // The end of a process that was to go is no problem.
    const bool died =
        !is_new && current.restarts > known->second.restarts && !old_pids_.contains(known->second.pid);
    if (is_new || current.state != known->second.state || current.pid != known->second.pid) {
        events.push_back({{"event", "state"},
                          {"name", row.value("name", "")},
                          {"instance", row.value("instance", 1)},
                          {"kind", row.value("kind", "")},
                          {"pid", pid_of(row)},
                          {"state", current.state},
                          {"restarts", current.restarts}});
    }
    if (died || (current.state == "backoff" && known->second.state != "backoff")) {
        events.push_back({{"event", "problem"},
                          {"name", row.value("name", "")},
                          {"instance", row.value("instance", 1)},
                          {"message", reason_of(row)}});
    }
    known->second = current;
    judge(row, now);
}

void Progress::judge(const Json& row, Time now) {
    const auto program =
        std::ranges::find(wanted_.programs, row.value("name", ""), &supervisor::Program::name);
    if (program == wanted_.programs.end() || failed_.contains(label_of(row))) return;
    const std::uint32_t restarts = row.value("restarts", 0u);
    const auto counted = restarts_at_start_.find(label_of(row));
    // A unit that replaces another counts its restarts from zero.
    const std::uint32_t before =
        counted == restarts_at_start_.end() || counted->second > restarts ? 0 : counted->second;
    const bool in_backoff = row.value("state", "") == "backoff";
    const bool gave_up_speed = in_backoff && restarts - before >= program->startretries;
    const bool too_slow =
        restarts > before && now - began_ > program->start_timeout && row.value("state", "") != "ready";
    if (gave_up_speed || too_slow) {
        failed_.insert(label_of(row));
        failures_.push_back({program->name, row.value("instance", 1u), reason_of(row)});
    }
}

// A row that is there although nobody asked for it is on its way out: it is waited for as well.
void Progress::count(const Json& processes) {
    missing_.clear();
    settled_ = true;
    std::map<std::string, std::uint32_t> ready, ready_or_hopeless;
    for (const Json& row : processes) {
        const std::string state = row.value("state", "");
        const std::string name = row.value("name", "");
        if (state == "ready" && !old_pids_.contains(pid_of(row))) {
            ++ready[name];
            ++ready_or_hopeless[name];
        } else {
            missing_.push_back(fmt::format("{} is {}", label_of(row), state));
            const bool hopeless = failed_.contains(label_of(row)) || state == "waiting";
            settled_ = settled_ && hopeless && !old_pids_.contains(pid_of(row));
            ++ready_or_hopeless[name];
        }
    }
    std::map<std::string, std::uint32_t> wanted{{"gateway", 1}, {"control", 1}};
    if (wanted_.embedded_broker) wanted["broker"] = 1;
    for (const supervisor::Program& program : wanted_.programs) wanted[program.name] = program.instances;
    for (const auto& [name, instances] : wanted) {
        settled_ = settled_ && ready_or_hopeless[name] >= instances;
        if (ready[name] != instances) {
            missing_.push_back(fmt::format("{} has {} of {} ready", name, ready[name], instances));
        }
    }
    for (const Json& row : processes) {
        const std::string name = row.value("name", "");
        if (row.value("kind", "") != "platform" && !wanted.contains(name)) {
            missing_.push_back(label_of(row) + " is to go");
        }
    }
    done_ = missing_.empty();
}

}  // namespace havn::control
