// The lives of the units: what happens to one when something happened. What shall be is in fleet_plan.cc.
#include "supervisor/core/fleet.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"

namespace havn::supervisor {

static constexpr milliseconds probe_pause_first{5};      // a fast service is found ready fast …
static constexpr milliseconds probe_pause_last{50};      // … and a slow one costs little,
static constexpr milliseconds probe_pause_per_start{1};  // however many start together
static constexpr milliseconds frozen_limit{10'000};  // for a part that does not answer, until it is killed
static constexpr milliseconds kill_again{1'000};

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

Unit* Fleet::look_up(UnitId id) {
    ++visits_;
    const auto found = units_.find(id);
    return found == units_.end() ? nullptr : &found->second;
}

const Unit* Fleet::find_pid(int pid) const {
    const auto found = by_pid_.find(pid);
    return found == by_pid_.end() ? nullptr : find(found->second);
}

bool Fleet::has_slot(const std::string& name, std::uint32_t instance) const {
    const auto group = groups_.find(name);
    return group != groups_.end() && group->second.slots.contains(instance);
}

bool Fleet::gateway_runs() const {
    const auto group = groups_.find("gateway");
    if (group == groups_.end()) return false;
    return std::ranges::any_of(group->second.slots, [this](const auto& slot) {
        return std::ranges::any_of(slot.second, [this](UnitId id) {
            const Unit& unit = units_.at(id);
            return unit.role == Role::platform && unit.pid != 0;
        });
    });
}

void Fleet::place(const Unit& unit) {
    Group& group = group_of(unit.name);
    group.slots[unit.instance].push_back(unit.id);
    ++by_stop_rank_[stop_rank(unit)];
    if (unit.pid != 0) by_pid_[unit.pid] = unit.id;
    if (unit.port != 0) by_port_[unit.port] = unit.id;
    touch(group, unit.instance);
}

void Fleet::remove(UnitId id) {
    const Unit& unit = *look_up(id);
    effects_.push_back(Forget{id, unit.name, unit.instance});
    Group& group = group_of(unit.name);
    const auto slot = group.slots.find(unit.instance);
    std::erase(slot->second, id);
    if (slot->second.empty()) group.slots.erase(slot);
    touch(group, unit.instance);
    --by_stop_rank_[stop_rank(unit)];
    if (const auto port = by_port_.find(unit.port); port != by_port_.end() && port->second == id)
        by_port_.erase(port);
    timers_.erase({unit.timer, id});
    units_.erase(id);
}

// Every change of a state comes by here: what may follow from it for others is noted for `reconcile`.
void Fleet::note_transition(const Unit& unit, State from, Moment now) {
    std::string cause = unit.error;
    if (cause.empty() && has_process(from) && !has_process(unit.state)) cause = unit.exit.text;
    transitions_.push_back(
        {now.wall, unit.name, unit.instance, unit.role, from, unit.state, unit.pid, std::move(cause)});
    if (transitions_.size() > transitions_max) transitions_.erase(transitions_.begin());
}

void Fleet::set_state(Unit& unit, State next, Moment now) {
    ++visits_;
    const State before = std::exchange(unit.state, next);
    if (before != next) note_transition(unit, before, now);
    Group& group = group_of(unit.name);
    touch(group, unit.instance);
    unit.state_since = now.wall;
    if (!has_process(next)) unit.since = now.wall;
    if (before == State::starting) --starting_;
    if (next == State::starting) ++starting_;
    if (before == State::waiting) group.waiting.erase(unit.id);
    if (next == State::waiting) {
        group.waiting.insert(unit.id);
        to_start_.insert(unit.id);
    }
    if ((before == State::ready) != (next == State::ready)) {
        group.ready += next == State::ready ? 1 : -1;
        if (next == State::ready && group.ready == 1) examine_dependants(group);
        if (unit.role == Role::service)
            joined_.push_back({unit.name, {unit.endpoint(), unit.instance}, next == State::ready});
    }
    if (next == State::down && !unit.wanted) gone_.push_back(unit.id);
}

void Fleet::fire(Unit& unit, Event event, Moment now) {
    const State from = unit.state;
    const Step taken = step(from, event);
    if (taken == Step{from, Action::none}) return;
    set_state(unit, taken.next, now);
    if (taken.next == State::ready) {
        unit.ready_now = unit.ever_ready = true;
        unit.replacing = false;
        unit.error.clear();
    }
    arm(unit, now);
    perform(unit, taken.action, now);
}

// Puts the unit's next time into the order of all.
void Fleet::schedule(Unit& unit) {
    const Time next = std::min(unit.deadline, unit.probe_at);
    if (next == unit.timer) return;
    timers_.erase({unit.timer, unit.id});
    unit.timer = next;
    if (next != Time::max()) timers_.insert({next, unit.id});
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
            unit.deadline = now.time + (unit.role == Role::platform ? frozen_limit : program.start_timeout);
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
    schedule(unit);
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
                    unit.exit.text.empty() ? "" : " (" + unit.exit.text + ")");
            }
            break;
    }
}

void Fleet::after_life(Unit& unit, Moment now) {
    publish();
    const Duration lived = now.time - unit.spawned_at;
    const milliseconds pause = unit.policy.after_life(unit.ready_now, lived, now.time, random_);
    unit.ready_now = false;
    const std::string what = unit.error.empty() ? fmt::format("{} ended after {}: {}", unit.label(),
                                                              in_words(lived), unit.exit.text)
                                                : fmt::format("{} failed: {}", unit.label(), unit.error);
    unit.reason = unit.error.empty() ? unit.exit.text : unit.error;
    if (stopping_) return;
    if (pause == milliseconds(0)) {
        set_state(unit, State::waiting, now);
        arm(unit, now);
        say(log::Level::warning, "{}; starting it again at once", what);
        return;
    }
    set_state(unit, State::backoff, now);
    arm(unit, now);
    unit.deadline = now.time + pause;
    unit.retry_at = now.wall + pause;
    schedule(unit);
    say(log::Level::error, "{}; it keeps {}, so the next start is in {}", what,
        unit.policy.too_often() ? "ending" : "failing", in_words(pause));
}

void Fleet::spawned(UnitId id, Process process, Moment now) {
    Unit& unit = units_.at(id);
    unit.pid = process.pid;
    unit.start_time = process.start_time;
    if (const auto old = by_port_.find(unit.port); old != by_port_.end() && old->second == id)
        by_port_.erase(old);
    unit.port = process.port;
    by_pid_[unit.pid] = id;
    if (unit.port != 0) by_port_[unit.port] = id;
    unit.cookie = std::move(process.cookie);
    unit.since = now.wall;
    unit.spawned_at = now.time;
    if (std::exchange(unit.had_life, true)) ++unit.restarts;
    arm(unit, now);
    if (unit.role == Role::worker && unit.program->startsecs == milliseconds(0))
        fire(unit, Event::probe_passed, now);
    reconcile(now);
}

void Fleet::ended(UnitId id, const Exit& exit, const std::string& error, Moment now) {
    Unit* const unit = look_up(id);
    if (!unit) return;
    if (unit->pid == 0) unit->spawned_at = now.time;
    by_pid_.erase(unit->pid);
    unit->pid = 0;
    if (!exit.text.empty()) {
        unit->exit = exit;
        unit->exited_at = now.wall;
        unit->uptime = std::chrono::duration_cast<milliseconds>(now.time - unit->spawned_at);
    }
    // What its probes found before it ended is no cause: its end is.
    if (unit->state == State::starting) unit->error.clear();
    if (!error.empty()) unit->error = error;
    fire(*unit, Event::exited, now);
    if (unit->role == Role::platform && unit->name == "gateway") {  // what it had in flight ended with it
        for (auto& [other_id, other] : units_) fire(other, Event::drained, now);
    }
    reconcile(now);
}

void Fleet::exit_known(UnitId id, const Exit& exit) {
    Unit* const unit = look_up(id);
    if (!unit) return;
    if (unit->reason == unit->exit.text) unit->reason = exit.text;
    unit->exit = exit;
}

void Fleet::probed(UnitId id, bool healthy, const std::string& found, Moment now) {
    Unit* const probed = look_up(id);
    if (!probed) return;
    Unit& unit = *probed;
    const std::uint32_t failures = healthy ? 0 : unit.probe_failures + 1;
    if (unit.state == State::starting && !healthy) {
        unit.error = "not ready yet: " + found;
        if (unit.restarts > 0) unit.error += "; the life before ended with " + unit.exit.text;
        const milliseconds longest =
            probe_pause_last + probe_pause_per_start * static_cast<std::int64_t>(starting_);
        unit.probe_pause = std::min(unit.probe_pause * 3 / 2, longest);
        unit.probe_at = now.time + unit.probe_pause;
        return schedule(unit);
    }
    if (unit.program->health) unit.probe_at = now.time + unit.program->health->interval;
    schedule(unit);
    unit.probe_failures = failures;
    if (healthy && unit.state != State::ready) {
        fire(unit, Event::probe_passed, now);
    } else if (unit.state == State::ready && unit.program->health &&
               failures >= unit.program->health->retries) {
        unit.error = "health check failed: " + found;
        const bool is_part = unit.role == Role::platform;
        say(log::Level::warning, "{} failed {} health checks in a row ({}); {} in {}", unit.label(), failures,
            found, is_part ? "unless it answers it is killed" : "no requests until it recovers, a restart",
            in_words(is_part ? frozen_limit : unit.program->start_timeout));
        fire(unit, Event::probe_failed, now);
    }
    reconcile(now);
}

void Fleet::reported_ready(UnitId id, Moment now) {
    Unit* const unit = look_up(id);
    if (!unit) return;
    if (unit->state == State::starting) fire(*unit, Event::probe_passed, now);
    reconcile(now);
}

void Fleet::drained(const std::string& endpoint, Moment now) {
    const std::size_t colon = endpoint.rfind(':') + 1;  // of npos: 0
    std::uint16_t port = 0;
    std::from_chars(endpoint.data() + colon, endpoint.data() + endpoint.size(), port);
    const auto found = by_port_.find(port);
    Unit* const unit = found == by_port_.end() ? nullptr : look_up(found->second);
    if (!unit || unit->state != State::draining || unit->endpoint() != endpoint) return;
    fire(*unit, Event::drained, now);
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
    } else if (unit.state == State::unready && unit.role == Role::platform) {
        say(log::Level::error, "{} (pid {}) did not answer for another {} ({}); killing it", unit.label(),
            unit.pid, in_words(frozen_limit), unit.error);
        effects_.push_back(KillTree{unit.id});
        unit.deadline = now.time + kill_again;
        return schedule(unit);
    } else if (unit.state == State::unready) {
        say(log::Level::error, "{} did not recover within {} ({}); restarting it", unit.label(), limit,
            unit.error);
    }
    fire(unit, Event::deadline, now);
}

void Fleet::tick(Moment now) {
    while (!timers_.empty() && timers_.begin()->first <= now.time) {
        Unit& unit = *look_up(timers_.begin()->second);
        const bool probe = unit.probe_at <= now.time;
        if (probe) unit.probe_at = Time::max();
        const bool deadline = unit.deadline <= now.time;
        if (deadline) unit.deadline = Time::max();
        schedule(unit);
        if (deadline) time_limit_passed(unit, now);
        if (probe) effects_.push_back(Probe{unit.id});
    }
    reconcile(now);
}

void Fleet::adopt(Unit given, Moment now) {
    const UnitId id = given.id;
    const auto [entry, is_new] = units_.emplace(id, std::move(given));
    HAVN_ASSERT(is_new, "unit ids are unique");
    next_id_ = std::max(next_id_, id + 1);
    Unit& unit = entry->second;
    RestartPolicy policy(restart_limits(unit));
    policy.restore(unit.policy.slow_retries(), unit.policy.too_often());
    unit.policy = std::move(policy);
    unit.spawned_at = now.time - std::chrono::duration_cast<Duration>(now.wall - unit.since);
    place(unit);
    const WallTime since = unit.since;
    const WallTime state_since = unit.state_since;
    set_state(unit, std::exchange(unit.state, State::down), now);
    unit.since = since;
    unit.state_since = state_since;
    arm(unit, now);
    if (unit.state == State::backoff && unit.retry_at > now.wall) {
        unit.deadline = now.time + std::chrono::duration_cast<Duration>(unit.retry_at - now.wall);
        schedule(unit);
    }
}

}  // namespace havn::supervisor
