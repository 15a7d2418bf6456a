#include "supervisor/core/instance_events.h"

#include <algorithm>

namespace havn::supervisor {

namespace {

constexpr milliseconds probe_pause_first{5};      // a fast service is found ready fast …
constexpr milliseconds probe_pause_last{50};      // … and a slow one costs little,
constexpr milliseconds probe_pause_per_start{1};  // however many start together
constexpr milliseconds frozen_limit{10'000};      // for a part that does not answer, until it is killed
constexpr milliseconds kill_again{1'000};

std::string in_words(Duration duration) {
    const auto ms = std::chrono::duration_cast<milliseconds>(duration).count();
    if (ms < 1'000) return fmt::format("{} ms", ms);
    if (ms < 120'000) return fmt::format("{}.{} s", ms / 1'000, ms % 1'000 / 100);
    return fmt::format("{} min", ms / 60'000);
}

}  // namespace

void InstanceEvents::note_transition(const Instance& instance, State from, Moment now) {
    std::string cause = instance.error;
    if (cause.empty() && has_process(from) && !has_process(instance.state)) cause = instance.exit.text;
    transitions_.push_back({now.wall, instance.app, instance.name, instance.number, instance.role, from,
                            instance.state, instance.life.pid, std::move(cause)});
    if (transitions_.size() > transitions_max) transitions_.erase(transitions_.begin());
}

// Every change of a state comes by here.
void InstanceEvents::set_state(Instance& instance, State next, Moment now) {
    instances_.count_visit();
    const State before = std::exchange(instance.state, next);
    if (before != next) note_transition(instance, before, now);
    instance.state_since = now.wall;
    if (!has_process(next)) instance.since = now.wall;
    if (before == State::starting) --starting_;
    if (next == State::starting) ++starting_;
    if (before == State::draining) draining_.erase(instance.id);
    if (next == State::draining) draining_.insert(instance.id);
    observer_.state_changed(instance, before);
}

void InstanceEvents::fire(Instance& instance, Event event, Moment now) {
    const State from = instance.state;
    const Step taken = step(from, event);
    if (taken == Step{from, Action::none}) return;
    set_state(instance, taken.next, now);
    if (taken.next == State::ready) {
        instance.ready_now = instance.ever_ready = true;
        instance.replacing = false;
        instance.error.clear();
    }
    arm(instance, now);
    perform(instance, taken.action, now);
}

// The time limits of the state the instance is in.
void InstanceEvents::arm(Instance& instance, Moment now) {
    const Program& program = *instance.program;
    instance.deadline = instance.probe_at = Time::max();
    instance.probe_failures = 0;
    switch (instance.state) {
        case State::starting:
            instance.deadline =
                now.time + (instance.role == Role::worker ? program.startsecs : program.start_timeout);
            instance.probe_pause = probe_pause_first;
            if (instance.is_probed()) instance.probe_at = now.time + instance.probe_pause;
            break;
        case State::ready:
            if (program.health) instance.probe_at = now.time + program.health->interval;
            break;
        case State::unready:
            instance.deadline =
                now.time + (instance.role == Role::platform ? frozen_limit : program.start_timeout);
            if (program.health) instance.probe_at = now.time + program.health->interval;
            break;
        case State::draining:
        case State::stopping:
            instance.deadline = now.time + program.stop_timeout;
            break;
        case State::killing:
            instance.deadline = now.time + kill_again;
            break;
        case State::backoff:
            instance.deadline = now.time + restart_limits(instance).pause_min;
            break;
        case State::down:
        case State::waiting:
            break;
    }
    instances_.schedule(instance);
}

void InstanceEvents::perform(Instance& instance, Action action, Moment now) {
    switch (action) {
        case Action::none:
            break;
        case Action::spawn:
            effects_.add(Spawn{instance.id});
            break;
        case Action::publish:
            if (instance.state == State::ready) {
                effects_.say(log::Level::info, "{} is ready", instance.label());
            }
            observer_.publish();
            break;
        case Action::drain:
            observer_.publish();
            if (instance.role != Role::service || !instances_.part_runs("gateway")) {
                fire(instance, Event::drained, now);
            }
            break;
        case Action::terminate:
            effects_.add(Terminate{instance.id});
            break;
        case Action::kill:
            effects_.say(log::Level::warning,
                         "{} (pid {}) did not end within {} of being told to; killing all of it",
                         instance.label(), instance.life.pid, in_words(instance.program->stop_timeout));
            effects_.add(KillTree{instance.id});
            break;
        case Action::retry:
            after_life(instance, now);
            break;
        case Action::gone:
            if (instance.wanted) {
                after_life(instance, now);
            } else {
                effects_.say(log::Level::info, "{} is stopped{}", instance.label(),
                             instance.exit.text.empty() ? "" : " (" + instance.exit.text + ")");
            }
            break;
    }
}

void InstanceEvents::after_life(Instance& instance, Moment now) {
    observer_.publish();
    const Duration lived = now.time - instance.spawned_at;
    const milliseconds pause = instance.policy.after_life(instance.ready_now, lived, now.time, random_);
    instance.ready_now = false;
    const std::string what =
        instance.error.empty()
            ? fmt::format("{} ended after {}: {}", instance.label(), in_words(lived), instance.exit.text)
            : fmt::format("{} failed: {}", instance.label(), instance.error);
    instance.reason = instance.error.empty() ? instance.exit.text : instance.error;
    if (stopping_) return;
    if (pause == milliseconds(0)) {
        set_state(instance, State::waiting, now);
        arm(instance, now);
        effects_.say(log::Level::warning, "{}; starting it again at once", what);
        return;
    }
    set_state(instance, State::backoff, now);
    arm(instance, now);
    instance.deadline = now.time + pause;
    instance.retry_at = now.wall + pause;
    instances_.schedule(instance);
    effects_.say(log::Level::error, "{}; it keeps {}, so the next start is in {}", what,
                 instance.policy.too_often() ? "ending" : "failing", in_words(pause));
}

void InstanceEvents::kill(Instance& instance, Moment now) {
    if (!has_process(instance.state)) return fire(instance, Event::stop, now);
    set_state(instance, State::killing, now);
    arm(instance, now);
    effects_.add(KillTree{instance.id});
}

void InstanceEvents::started(Instance& instance, const Started& life, Moment now) {
    instances_.begin_life(instance, life);
    instance.since = now.wall;
    instance.spawned_at = now.time;
    if (std::exchange(instance.had_life, true)) ++instance.restarts;
    arm(instance, now);
    if (instance.role == Role::worker && instance.program->startsecs == milliseconds(0)) {
        fire(instance, Event::probe_passed, now);
    }
}

void InstanceEvents::ended(Instance& instance, const Exit& exit, const std::string& error, Moment now) {
    if (instance.life.pid == 0) instance.spawned_at = now.time;
    instance.life.pid = 0;
    if (!exit.text.empty()) {
        instance.exit = exit;
        instance.exited_at = now.wall;
        instance.uptime = std::chrono::duration_cast<milliseconds>(now.time - instance.spawned_at);
    }
    // What its probes found before it ended is no cause: its end is.
    if (instance.state == State::starting) instance.error.clear();
    if (!error.empty()) instance.error = error;
    fire(instance, Event::exited, now);
    if (!instance.is_part("gateway")) return;
    // What it had in flight ended with it.
    const std::set<InstanceId> draining = draining_;
    for (const InstanceId id : draining) fire(*instances_.look_up(id), Event::drained, now);
}

void InstanceEvents::probed(Instance& instance, bool healthy, const std::string& found, Moment now) {
    const std::uint32_t failures = healthy ? 0 : instance.probe_failures + 1;
    if (instance.state == State::starting && !healthy) {
        instance.error = "not ready yet: " + found;
        if (instance.restarts > 0) instance.error += "; the life before ended with " + instance.exit.text;
        const milliseconds longest =
            probe_pause_last + probe_pause_per_start * static_cast<std::int64_t>(starting_);
        instance.probe_pause = std::min(instance.probe_pause * 3 / 2, longest);
        instance.probe_at = now.time + instance.probe_pause;
        return instances_.schedule(instance);
    }
    if (instance.program->health) instance.probe_at = now.time + instance.program->health->interval;
    instances_.schedule(instance);
    instance.probe_failures = failures;
    if (healthy && instance.state != State::ready) {
        fire(instance, Event::probe_passed, now);
    } else if (instance.state == State::ready && instance.program->health &&
               failures >= instance.program->health->retries) {
        instance.error = "health check failed: " + found;
        const bool is_part = instance.role == Role::platform;
        effects_.say(log::Level::warning, "{} failed {} health checks in a row ({}); {} in {}",
                     instance.label(), failures, found,
                     is_part ? "unless it answers it is killed" : "no requests until it recovers, a restart",
                     in_words(is_part ? frozen_limit : instance.program->start_timeout));
        fire(instance, Event::probe_failed, now);
    }
}

void InstanceEvents::time_limit_passed(Instance& instance, Moment now) {
    const std::string limit = in_words(instance.program->start_timeout);
    if (instance.state == State::starting && instance.role == Role::worker) {
        return fire(instance, Event::probe_passed, now);
    }
    if (instance.state == State::starting) {
        instance.error = fmt::format("not ready within {}{}", limit,
                                     instance.error.empty() ? "" : " (" + instance.error + ")");
        effects_.say(log::Level::error, "{} was {}; stopping it", instance.label(), instance.error);
    } else if (instance.state == State::unready && instance.role == Role::platform) {
        effects_.say(log::Level::error, "{} (pid {}) did not answer for another {} ({}); killing it",
                     instance.label(), instance.life.pid, in_words(frozen_limit), instance.error);
        effects_.add(KillTree{instance.id});
        instance.deadline = now.time + kill_again;
        return instances_.schedule(instance);
    } else if (instance.state == State::unready) {
        effects_.say(log::Level::error, "{} did not recover within {} ({}); restarting it", instance.label(),
                     limit, instance.error);
    }
    fire(instance, Event::deadline, now);
}

void InstanceEvents::deadlines_passed(Moment now) {
    while (Instance* const due = instances_.due(now.time)) {
        const bool probe = due->probe_at <= now.time;
        if (probe) due->probe_at = Time::max();
        const bool deadline = due->deadline <= now.time;
        if (deadline) due->deadline = Time::max();
        instances_.schedule(*due);
        if (deadline) time_limit_passed(*due, now);
        if (probe) effects_.add(Probe{due->id});
    }
}

void InstanceEvents::adopt(Instance given, Moment now) {
    Instance& instance = instances_.add(std::move(given));
    RestartPolicy policy(restart_limits(instance));
    policy.restore(instance.policy.slow_retries(), instance.policy.too_often());
    instance.policy = std::move(policy);
    instance.spawned_at = now.time - std::chrono::duration_cast<Duration>(now.wall - instance.since);
    const WallTime since = instance.since;
    const WallTime state_since = instance.state_since;
    set_state(instance, std::exchange(instance.state, State::down), now);
    instance.since = since;
    instance.state_since = state_since;
    arm(instance, now);
    if (instance.state == State::backoff && instance.retry_at > now.wall) {
        instance.deadline = now.time + std::chrono::duration_cast<Duration>(instance.retry_at - now.wall);
        instances_.schedule(instance);
    }
}

}  // namespace havn::supervisor
