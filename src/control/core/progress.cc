#include "control/core/progress.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace havn::control {

using Verdict = Progress::Verdict;

namespace {

constexpr const char* unknown_end = "it ended";
constexpr std::uint32_t part_retries = 5;
constexpr Duration part_start_limit = seconds(60);        // a broker with a long log takes its time
constexpr Duration refusal_interval = milliseconds(100);  // that one is over shows in no table

std::string label_of(const std::pair<std::string, std::uint32_t>& key) {
    return fmt::format("{}.{}", key.first, key.second);
}

std::uint32_t number_of(const Json& row, const char* key, std::uint32_t otherwise) {
    const auto found = row.find(key);
    return found == row.end() ? otherwise : integer_of<std::uint32_t>(*found).value_or(otherwise);
}

// Of a program that a row or the configuration tells of: its identity, which is its application and its name.
std::string shown_name(const Json& row) {
    return supervisor::shown_name(text_of(row, "app"), text_of(row, "name"));
}

std::string shown_name(const supervisor::Program& program) {
    return supervisor::shown_name(program.app, program.name);
}

int pid_of(const Json& row) {
    return static_cast<int>(number_of(row, "pid", 0));
}

std::pair<std::string, std::uint32_t> key_of(const Json& row) {
    return {shown_name(row), number_of(row, "instance", 1)};
}

// How the supervisor tells of a life that was no good: how the process ended, unless it was ended because of
// `error`. That a probe did not get through yet is no cause once the process is gone; that it was ended for
// it is, also when the next life has begun.
std::string reason_of(const Json& row) {
    const std::string error = text_of(row, "error");
    std::string exit = text_of(row, "exit");
    if (!error.empty() && (exit.empty() || !error.starts_with("not ready yet"))) return error;
    if (std::string reason = text_of(row, "reason"); reason.starts_with("not ready within")) return reason;
    return exit.empty() ? unknown_end : exit;
}

}  // namespace

Progress::Progress(const supervisor::Desired& wanted, Asked asked, const Json& before, Time now)
    : wanted_(wanted), everything_(asked.names.empty()), names_(asked.names), last_movement_(now) {
    add_slots(asked);
    for (const Json& row : before) {
        const auto found = slots_.find(key_of(row));
        if (found == slots_.end() || pid_of(row) == 0) continue;
        // Of two rows the one that serves counts.
        if (found->second.had_process && text_of(row, "state") != "ready") continue;
        found->second.pid_before = pid_of(row);
        found->second.had_process = true;
        found->second.was_ready = text_of(row, "state") == "ready";
    }
}

void Progress::add_slots(const Asked& asked) {
    std::set<std::string> parts{"gateway", "control"};
    if (wanted_.embedded_broker) parts.insert("broker");
    for (const std::string name : {"keeper", "supervisor", "gateway", "control", "broker"}) {
        if (everything_ ? !parts.contains(name) : !asked.names.contains(name)) continue;
        slots_[{name, 1}].restarted_outside = name == "keeper" || name == "supervisor";
    }
    for (const supervisor::Program& program : wanted_.programs) {
        const std::string name = shown_name(program);
        if (!everything_ && !asked.names.contains(name)) continue;
        for (std::uint32_t i = 1; i <= program.instances; ++i) {
            if (asked.instance == 0 || asked.instance == i) slots_[{name, i}].program = &program;
        }
    }
}

bool Progress::is_outdated(const Json& row, const Slot* slot) const {
    if (slot && slot->restarted_outside) return pid_of(row) == slot->pid_before;
    const auto found = row.find("outdated");
    return found != row.end() && *found == true;
}

// All rows, those of slots nobody asked for too: others may depend on them.
std::map<Progress::Key, Progress::Rows> Progress::sort_rows(const Json& processes) const {
    std::map<Key, Rows> sorted;
    for (const Json& row : processes) {
        if (!row.is_object()) continue;
        const Key key = key_of(row);
        const auto slot = slots_.find(key);
        Rows& rows = sorted[key];
        if (!is_outdated(row, slot == slots_.end() ? nullptr : &slot->second)) {
            rows.fresh = &row;
            continue;
        }
        rows.former_there = true;
        rows.former_ready = rows.former_ready || text_of(row, "state") == "ready";
    }
    return sorted;
}

std::vector<Json> Progress::on(const Json& processes, Time now,
                               const std::map<std::string, Error>& refusals) {
    std::vector<Json> events;
    const std::map<Key, Rows> rows = sort_rows(processes);
    look_again_at_ = Time::max();
    for (auto& [key, slot] : slots_) {
        const auto found = rows.find(key);
        if (found == rows.end()) continue;
        slot.former_serves = found->second.former_ready;
        slot.replacing = slot.replacing || (found->second.former_there && slot.was_ready);
        if (found->second.fresh) follow(key, slot, *found->second.fresh, now, events);
    }
    for (auto& [key, slot] : slots_) {
        const auto refusal = refusals.find(key.first);
        slot.refusal = slot.program || refusal == refusals.end() ? "" : refusal->second.text();
    }
    find_failing(rows);
    collect_leaving(processes);
    note_movement(now);
    for (auto& [key, slot] : slots_) decide(key, slot, rows, now);
    end_standstill(now);
    settled_ = leaving_.empty() || stands_still_;
    for (auto& [key, slot] : slots_) {
        settled_ = settled_ && slot.verdict != Verdict::pending;
        if (slot.verdict != Verdict::failed || std::exchange(slot.is_reported, true)) continue;
        failures_.push_back({key.first, key.second, slot.cause});
    }
    return events;
}

// What its row says that it did not say before.
void Progress::follow(const Key& key, Slot& slot, const Json& row, Time now, std::vector<Json>& events) {
    const std::string state = text_of(row, "state");
    const std::uint32_t restarts = number_of(row, "restarts", 0);
    const bool is_new = !slot.seen;
    const bool unmoved = is_new && slot.had_process && pid_of(row) == slot.pid_before && state == "ready";
    const bool died = !is_new && restarts > slot.restarts;
    if (died) slot.deaths += restarts - slot.restarts;
    if (!unmoved && (is_new || state != slot.state || pid_of(row) != slot.pid)) {
        events.push_back({{"event", "state"},
                          {"name", key.first},
                          {"instance", key.second},
                          {"kind", text_of(row, "kind")},
                          {"pid", pid_of(row) > 0 ? Json(pid_of(row)) : Json()},
                          {"state", state},
                          {"restarts", restarts}});
    }
    if (died) {
        slot.cause = reason_of(row);
        slot.ready_since.reset();  // although the next life may be ready already
    }
    if (died || (state == "backoff" && slot.state != "backoff")) {
        events.push_back({{"event", "problem"},
                          {"name", key.first},
                          {"instance", key.second},
                          {"message", reason_of(row)}});
    }
    slot.seen = true;
    slot.state = state;
    slot.pid = pid_of(row);
    slot.restarts = restarts;
    judge_life(slot, row, now);
}

bool Progress::is_steady(const Slot& slot, Time now) {
    if (!slot.ready_since) return false;
    const bool doubtful = slot.program && (slot.deaths > 0 || slot.failing);
    return !doubtful || now - *slot.ready_since >= steady_time;
}

void Progress::judge_life(Slot& slot, const Json& row, Time now) {
    const auto failing = row.find("failing");
    slot.failing = failing != row.end() && *failing == true;
    if (slot.state == "ready") {
        if (!slot.ready_since) slot.ready_since = now;
        slot.trying_since.reset();
    } else {
        slot.ready_since.reset();
        const bool tries = slot.state != "waiting" || slot.deaths > 0;
        if (tries && !slot.trying_since) slot.trying_since = now;
    }
    if (is_steady(slot, now)) {
        slot.has_failed = false;
        return;
    }
    const std::uint32_t retries = slot.program ? slot.program->startretries : part_retries;
    const Duration limit = slot.program ? Duration(slot.program->start_timeout) : part_start_limit;
    // What the supervisor itself gives `limit`, it ends and starts anew; it is not given that twice here.
    const Duration patience = limit + seconds(1);
    const bool too_slow = slot.trying_since && now - *slot.trying_since > patience;
    const bool in_backoff = slot.state == "backoff" && (slot.program || slot.deaths > 0);
    if (slot.ready_since) look_again_at_ = std::min(look_again_at_, *slot.ready_since + steady_time);
    if (slot.trying_since && !too_slow) {
        look_again_at_ = std::min(look_again_at_, *slot.trying_since + patience + milliseconds(1));
    }
    if (!in_backoff && !too_slow && slot.deaths <= retries) return;
    slot.has_failed = true;
    const std::string reason = reason_of(row);
    if (slot.state != "ready" || slot.cause.empty()) slot.cause = reason;
    if (too_slow && reason == unknown_end) {
        const auto waited = std::chrono::duration_cast<milliseconds>(limit).count();
        slot.cause = fmt::format("not ready within {:.1f} s", static_cast<double>(waited) / 1000);
    }
}

void Progress::decide(const Key& key, Slot& slot, const std::map<Key, Rows>& rows, Time now) {
    slot.verdict = Verdict::pending;
    const auto found = rows.find(key);
    const bool there = found != rows.end();
    if (!there || !found->second.fresh) {
        if (there && found->second.former_ready && failing_.contains(key.first)) slot.verdict = Verdict::kept;
        return;
    }
    if (slot.has_failed) {
        slot.verdict = Verdict::failed;
    } else if (!slot.refusal.empty()) {
        judge_refusal(slot, now);
    } else if (slot.state == "ready") {
        if (!is_steady(slot, now) || found->second.former_there) return;
        const bool same = slot.had_process && slot.pid == slot.pid_before;
        slot.verdict = same ? Verdict::unchanged : Verdict::ready;
    } else if (slot.state == "waiting") {
        const std::string unmet = unmet_dependency(slot, rows);
        if (unmet.empty()) return;
        slot.verdict = Verdict::blocked;
        slot.cause = unmet;
    }
}

void Progress::judge_refusal(Slot& slot, Time now) {
    look_again_at_ = std::min(look_again_at_, now + refusal_interval);
    if (now - last_movement_ < refused_time) return;
    slot.verdict = Verdict::refused;
    slot.cause = "refuses its configuration: " + slot.refusal;
}

// A program is replaced one instance after the other: one that fails holds those after it.
void Progress::find_failing(const std::map<Key, Rows>& rows) {
    failing_.clear();
    cannot_become_ready_.clear();
    for (const auto& [key, of_slot] : rows) {
        if (!of_slot.fresh) continue;
        const auto slot = slots_.find(key);
        const std::string state = text_of(*of_slot.fresh, "state");
        const bool asked = slot != slots_.end();
        if (asked ? slot->second.has_failed : state == "backoff") failing_.insert(key.first);
        if (asked && state == "waiting" && !unmet_dependency(slot->second, rows).empty()) {
            failing_.insert(key.first);
        }
    }
}

// Whether no instance of the program is ready, and none is on its way there.
bool Progress::cannot_become_ready(const std::string& name, const std::map<Key, Rows>& rows, int depth) {
    if (const auto known = cannot_become_ready_.find(name); known != cannot_become_ready_.end()) {
        return known->second;
    }
    bool any = false, possible = depth > 64;
    for (auto it = rows.lower_bound({name, 0}); it != rows.end() && it->first.first == name; ++it) {
        any = true;
        possible = possible || may_become_ready(name, it->first, it->second, rows, depth);
    }
    return cannot_become_ready_[name] = any && !possible;
}

bool Progress::may_become_ready(const std::string& name, const Key& key, const Rows& rows,
                                const std::map<Key, Rows>& all, int depth) {
    if (rows.former_ready) return true;
    if (!rows.fresh) return rows.former_there;  // on its way out, before the next one comes
    const std::string state = text_of(*rows.fresh, "state");
    if (state == "ready") return true;
    const auto slot = slots_.find(key);
    if (state == "backoff" || (slot != slots_.end() && slot->second.has_failed)) return false;
    const supervisor::Program* program = find_program(name);
    if (state != "waiting" || !program) return true;
    return std::ranges::none_of(program->depends_on, [&](const std::string& next) {
        return cannot_become_ready(supervisor::shown_name(program->app, next), all, depth + 1);
    });
}

std::string Progress::unmet_dependency(const Slot& slot, const std::map<Key, Rows>& rows) {
    if (!slot.program) return {};
    for (const std::string& next : slot.program->depends_on) {
        const std::string name = supervisor::shown_name(slot.program->app, next);
        const supervisor::Program* program = find_program(name);
        if (program && program->instances == 0) continue;
        if (cannot_become_ready(name, rows, 0)) return fmt::format("waits for {}, which is not ready", name);
    }
    return {};
}

const supervisor::Program* Progress::find_program(const std::string& name) const {
    for (const supervisor::Program& program : wanted_.programs) {
        if (shown_name(program) == name) return &program;
    }
    return nullptr;
}

// Rows that nobody wants any more: of removed programs, and past the number of instances.
void Progress::collect_leaving(const Json& processes) {
    leaving_.clear();
    std::map<std::string, std::uint32_t> wanted;
    for (const supervisor::Program& program : wanted_.programs) {
        wanted[shown_name(program)] = program.instances;
    }
    for (const Json& row : processes) {
        if (!row.is_object() || text_of(row, "kind") == "platform") continue;
        const Key key = key_of(row);
        const auto program = wanted.find(key.first);
        const bool unwanted = program == wanted.end() || key.second > program->second;
        const bool of_interest = everything_ || names_.contains(key.first);
        if (unwanted && of_interest) {
            leaving_.insert(fmt::format("{} is {}", label_of(key), text_of(row, "state")));
        }
    }
}

// No instance needs longer for one step than this.
Duration Progress::standstill_limit() const {
    Duration longest{0};
    for (const auto& [key, slot] : slots_) {
        longest = slot.program
                      ? std::max<Duration>({longest, slot.program->start_timeout, slot.program->stop_timeout})
                      : std::max(longest, part_start_limit);
    }
    return longest + seconds(15);
}

void Progress::note_movement(Time now) {
    std::string seen = fmt::format("{}", fmt::join(leaving_, ","));
    for (const auto& [key, slot] : slots_) {
        seen += fmt::format(" {}:{}:{}:{}:{}", label_of(key), slot.state, slot.pid, slot.restarts,
                            slot.former_serves);
    }
    if (seen != seen_last_) {
        seen_last_ = std::move(seen);
        last_movement_ = now;
    }
}

// Standing still is an end as well: then what is pending has failed.
void Progress::end_standstill(Time now) {
    stands_still_ = now - last_movement_ >= standstill_limit();
    look_again_at_ = std::min(look_again_at_, last_movement_ + standstill_limit());
    if (!stands_still_) return;
    for (auto& [key, slot] : slots_) {
        if (slot.verdict != Verdict::pending) continue;
        slot.verdict = Verdict::failed;
        slot.cause = slot.seen ? fmt::format("it is still {}", slot.state) : "it was not started";
    }
}

bool Progress::ok() const {
    return settled_ && leaving_.empty() && std::ranges::all_of(slots_, [](const auto& entry) {
               const Verdict verdict = entry.second.verdict;
               return verdict == Verdict::ready || verdict == Verdict::unchanged;
           });
}

bool Progress::refused(const std::string& part) const {
    const auto slot = slots_.find({part, 1});
    return slot != slots_.end() && slot->second.verdict == Verdict::refused;
}

std::set<std::string> Progress::services() const {
    std::set<std::string> names;
    for (const auto& [key, slot] : slots_) {
        if (slot.program && slot.program->kind == supervisor::Kind::service) names.insert(key.first);
    }
    return names;
}

std::vector<Progress::Outcome> Progress::outcomes() const {
    std::vector<Outcome> all;
    for (const auto& [key, slot] : slots_) {
        if (all.empty() || all.back().name != key.first) all.push_back({.name = key.first, .causes = {}});
        Outcome& outcome = all.back();
        ++outcome.wanted;
        outcome.replacing = outcome.replacing || slot.replacing;
        if (slot.verdict == Verdict::ready || slot.verdict == Verdict::unchanged) ++outcome.ready;
        if (slot.verdict == Verdict::ready) ++outcome.replaced;
        const bool as_asked = slot.verdict == Verdict::ready || slot.verdict == Verdict::unchanged;
        if (!as_asked && slot.former_serves) ++outcome.former;
        if (slot.verdict == Verdict::failed) {
            outcome.causes.push_back(fmt::format("{} failed: {}", label_of(key), slot.cause));
        }
        if (slot.verdict == Verdict::refused) {
            outcome.refused = true;
            outcome.causes.push_back(slot.cause);
        }
        if (slot.verdict == Verdict::blocked) {
            outcome.causes.push_back(fmt::format("{} {}", label_of(key), slot.cause));
        }
    }
    if (!leaving_.empty()) {
        Outcome outcome{.name = "what was to stop", .wanted = 0, .causes = {}};
        for (const std::string& text : leaving_) outcome.causes.push_back(text);
        all.push_back(std::move(outcome));
    }
    return all;
}

std::string Progress::Outcome::sentence() const {
    static constexpr std::size_t causes_max = 3;
    std::string text = name + ":";
    if (wanted > 0 && !refused) {
        text += fmt::format(" {} of {} {};", replacing ? replaced : ready, wanted,
                            replacing ? "replaced" : "ready");
    }
    for (std::size_t i = 0; i < std::min(causes.size(), causes_max); ++i) {
        text += (i == 0 ? " " : "; ") + causes[i];
    }
    if (causes.size() > causes_max) text += fmt::format("; and {} more", causes.size() - causes_max);
    if (former > 0 && former + ready == wanted) text += "; the former version keeps serving";
    if (former > 0 && former + ready < wanted) {
        text += fmt::format("; {} of the former version go on", former);
    }
    if (text.ends_with(';')) text.pop_back();
    return text;
}

}  // namespace havn::control
