// The lives of the units: what happens to one when something happened. What shall be is in fleet_plan.cc.
#include "supervisor/core/fleet.h"

#include <algorithm>

#include "base/assert.h"

namespace havn::supervisor {

static constexpr milliseconds probe_pause_first{5};  // a fast service is found ready fast …
static constexpr milliseconds probe_pause_last{50};  // … and a slow one costs little
static constexpr milliseconds kill_again{1'000};
static constexpr milliseconds adopted_start_limit{30'000};

static std::string in_words(Duration duration) {
    const auto ms = std::chrono::duration_cast<milliseconds>(duration).count();
    if (ms < 1'000) return fmt::format("{} ms", ms);
    if (ms < 120'000) return fmt::format("{}.{} s", ms / 1'000, ms % 1'000 / 100);
    return fmt::format("{} min", ms / 60'000);
}

const Unit* Fleet::find(UnitId id) const {
    const auto found = units_.find(id);
    return found == units_.end() ? nullptr : &found->second;
}

bool Fleet::uses_port(std::uint16_t port) const {
    return std::ranges::any_of(units_, [port](const auto& entry) { return entry.second.port == port; });
}

bool Fleet::gateway_runs() const {
    return std::ranges::any_of(units_, [](const auto& entry) {
        const Unit& unit = entry.second;
        return unit.role == Role::platform && unit.name == "gateway" && unit.pid != 0;
    });
}

void Fleet::fire(Unit& unit, Event event, Moment now) {
    const State from = unit.state;
    const Step taken = step(from, event);
    if (taken == Step{from, Action::none}) return;
    unit.state = taken.next;
    if (taken.next == State::ready) {
        unit.ready_now = unit.ever_ready = true;
        unit.replacing = false;
        unit.error.clear();
    }
    if (!has_process(taken.next)) unit.since = now.wall;
    arm(unit, now);
    perform(unit, taken.action, now);
}

// The time limits of the state the unit is in.
void Fleet::arm(Unit& unit, Moment now) {
    const Program& program = *unit.program;
    unit.deadline = unit.probe_at = Time::max();
    unit.probe_failures = 0;
    switch (unit.state) {
        case State::starting:
            unit.deadline =
                now.time + (unit.role == Role::worker ? program.startsecs : program.start_timeout);
            unit.probe_pause = probe_pause_first;
            if (unit.is_probed()) unit.probe_at = now.time + unit.probe_pause;
            break;
        case State::ready:
            if (program.health) unit.probe_at = now.time + program.health->interval;
            break;
        case State::unready:
            unit.deadline = now.time + program.start_timeout;
            if (program.health) unit.probe_at = now.time + program.health->interval;
            break;
        case State::draining:
        case State::stopping:
            unit.deadline = now.time + program.stop_timeout;
            break;
        case State::killing:
            unit.deadline = now.time + kill_again;
            break;
        case State::backoff:
            unit.deadline = now.time + restart_limits(unit).pause_min;
            break;
        case State::down:
        case State::waiting:
            break;
    }
}

void Fleet::perform(Unit& unit, Action action, Moment now) {
    switch (action) {
        case Action::none:
            break;
        case Action::spawn:
            effects_.push_back(Spawn{unit.id});
            break;
        case Action::publish:
            if (unit.state == State::ready) say(log::Level::info, "{} is ready", unit.label());
            publish();
            break;
        case Action::drain:
            publish();
            if (unit.role != Role::service || !gateway_runs()) fire(unit, Event::drained, now);
            break;
        case Action::terminate:
            effects_.push_back(Terminate{unit.id});
            break;
        case Action::kill:
            say(log::Level::warning, "{} (pid {}) did not end within {} of being told to; killing all of it",
                unit.label(), unit.pid, in_words(unit.program->stop_timeout));
            effects_.push_back(KillTree{unit.id});
            break;
        case Action::retry:
            after_life(unit, now);
            break;
        case Action::gone:
            if (unit.wanted) {
                after_life(unit, now);
            } else {
                say(log::Level::info, "{} is stopped{}", unit.label(),
                    unit.exit.empty() ? "" : " (" + unit.exit + ")");
            }
            break;
    }
}

void Fleet::after_life(Unit& unit, Moment now) {
    publish();
    const Duration lived = now.time - unit.spawned_at;
    const milliseconds pause = unit.policy.after_life(unit.ready_now, lived, now.time, random_);
    unit.ready_now = false;
    const std::string what =
        unit.error.empty() ? fmt::format("{} ended after {}: {}", unit.label(), in_words(lived), unit.exit)
                           : fmt::format("{} failed: {}", unit.label(), unit.error);
    if (stopping_) return;
    if (pause == milliseconds(0)) {
        unit.state = State::waiting;
        arm(unit, now);
        say(log::Level::warning, "{}; starting it again at once", what);
        return;
    }
    unit.state = State::backoff;
    arm(unit, now);
    unit.deadline = now.time + pause;
    say(log::Level::error, "{}; it keeps failing, so the next start is in {}", what, in_words(pause));
}

void Fleet::spawned(UnitId id, Process process, Moment now) {
    Unit& unit = units_.at(id);
    unit.pid = process.pid;
    unit.start_time = process.start_time;
    unit.port = process.port;
    unit.cookie = std::move(process.cookie);
    unit.since = now.wall;
    unit.spawned_at = now.time;
    unit.exit.clear();
    if (std::exchange(unit.had_life, true)) ++unit.restarts;
    arm(unit, now);
    if (unit.role == Role::worker && unit.program->startsecs == milliseconds(0))
        fire(unit, Event::probe_passed, now);
    reconcile(now);
}

void Fleet::ended(UnitId id, const std::string& exit, const std::string& error, Moment now) {
    const auto found = units_.find(id);
    if (found == units_.end()) return;
    Unit& unit = found->second;
    if (unit.pid == 0) unit.spawned_at = now.time;
    unit.pid = 0;
    unit.exit = exit;
    if (!error.empty()) unit.error = error;
    fire(unit, Event::exited, now);
    if (unit.role == Role::platform && unit.name == "gateway") {  // what it had in flight ended with it
        for (auto& [other_id, other] : units_) fire(other, Event::drained, now);
    }
    reconcile(now);
}

void Fleet::probed(UnitId id, bool healthy, const std::string& found, Moment now) {
    const auto entry = units_.find(id);
    if (entry == units_.end()) return;
    Unit& unit = entry->second;
    const std::uint32_t failures = healthy ? 0 : unit.probe_failures + 1;
    if (unit.state == State::starting && !healthy) {
        unit.error = "not ready yet: " + found;
        unit.probe_pause = std::min(unit.probe_pause * 3 / 2, probe_pause_last);
        unit.probe_at = now.time + unit.probe_pause;
        return;
    }
    if (unit.program->health) unit.probe_at = now.time + unit.program->health->interval;
    unit.probe_failures = failures;
    if (healthy && unit.state != State::ready) {
        fire(unit, Event::probe_passed, now);
    } else if (unit.state == State::ready && unit.program->health &&
               failures >= unit.program->health->retries) {
        unit.error = "health check failed: " + found;
        say(log::Level::warning,
            "{} failed {} health checks in a row ({}); no requests until it recovers, a restart in {}",
            unit.label(), failures, found, in_words(unit.program->start_timeout));
        fire(unit, Event::probe_failed, now);
    }
    reconcile(now);
}

void Fleet::reported_ready(UnitId id, Moment now) {
    const auto found = units_.find(id);
    if (found == units_.end()) return;
    if (found->second.state == State::starting) fire(found->second, Event::probe_passed, now);
    reconcile(now);
}

void Fleet::drained(const std::string& endpoint, Moment now) {
    for (auto& [id, unit] : units_) {
        if (unit.state == State::draining && unit.endpoint() == endpoint) fire(unit, Event::drained, now);
    }
    reconcile(now);
}

void Fleet::time_limit_passed(Unit& unit, Moment now) {
    const std::string limit = in_words(unit.program->start_timeout);
    if (unit.state == State::starting && unit.role == Role::worker)
        return fire(unit, Event::probe_passed, now);
    if (unit.state == State::starting) {
        unit.error =
            fmt::format("not ready within {}{}", limit, unit.error.empty() ? "" : " (" + unit.error + ")");
        say(log::Level::error, "{} was {}; stopping it", unit.label(), unit.error);
    } else if (unit.state == State::unready) {
        say(log::Level::error, "{} did not recover within {} ({}); restarting it", unit.label(), limit,
            unit.error);
    }
    fire(unit, Event::deadline, now);
}

void Fleet::tick(Moment now) {
    for (auto& [id, unit] : units_) {
        if (unit.deadline <= now.time) {
            unit.deadline = Time::max();
            time_limit_passed(unit, now);
        }
        if (unit.probe_at <= now.time) {
            unit.probe_at = Time::max();
            effects_.push_back(Probe{id});
        }
    }
    reconcile(now);
}

Time Fleet::wake_at() const {
    Time earliest = Time::max();
    for (const auto& [id, unit] : units_) earliest = std::min({earliest, unit.deadline, unit.probe_at});
    return earliest;
}

void Fleet::adopt(Unit unit, Moment now) {
    const std::uint32_t slow_retries = unit.policy.slow_retries();
    unit.policy = RestartPolicy(restart_limits(unit));
    unit.policy.set_slow_retries(slow_retries);
    unit.spawned_at = now.time - std::chrono::duration_cast<Duration>(now.wall - unit.since);
    arm(unit, now);
    // Its one word that it is ready may have died with the supervisor that heard it.
    if (unit.role == Role::platform && unit.state == State::starting) {
        unit.deadline = now.time + adopted_start_limit;
    }
    next_id_ = std::max(next_id_, unit.id + 1);
    const UnitId id = unit.id;
    const bool is_new = units_.emplace(id, std::move(unit)).second;
    HAVN_ASSERT(is_new, "unit ids are unique");
}

}  // namespace havn::supervisor
