// What shall run against what runs: creates, replaces and retires units until the two agree.
#include <algorithm>

#include "base/assert.h"
#include "supervisor/core/fleet.h"

namespace havn::supervisor {

void Fleet::add_part(const char* name, milliseconds stop_timeout) {
    Program program;
    program.name = name;
    program.start_timeout = std::chrono::minutes(10);  // a long recovery is no failure
    program.startsecs = milliseconds(100);
    program.startretries = 5;
    program.stop_timeout = stop_timeout;
    targets_.push_back({Role::platform, std::make_shared<const Program>(std::move(program)), 1});
}

void Fleet::set_targets(const Desired* desired) {
    targets_.clear();
    add_part("control", seconds(3));
    if (!desired) return;
    if (desired->embedded_broker) add_part("broker", seconds(10));
    add_part("gateway", seconds(10));
    for (Program program : desired->programs) {
        const std::uint32_t instances = std::exchange(program.instances, 1);
        const Role role = program.kind == Kind::service ? Role::service : Role::worker;
        targets_.push_back({role, std::make_shared<const Program>(std::move(program)), instances});
    }
}

void Fleet::begin(Moment now) {
    set_targets(nullptr);
    reconcile(now);
}

void Fleet::apply(const Desired& desired, Moment now) {
    if (stopping_) return;
    set_targets(&desired);
    reconcile(now);
}

Result<> Fleet::restart(const std::string& name, std::uint32_t instance, Moment now) {
    if (stopping_) return fail(Error::Kind::unavailable, "the platform is stopping");
    std::size_t found = 0;
    for (auto& [id, unit] : units_) {
        if (!unit.wanted || unit.name != name || (instance != 0 && unit.instance != instance)) continue;
        unit.restart_asked = true;
        ++found;
    }
    if (found == 0) {
        std::string known;
        for (const Target& target : targets_) known += (known.empty() ? "" : ", ") + target.program->name;
        const std::string what = instance == 0 ? name : name + "." + std::to_string(instance);
        return fail(Error::Kind::not_found, "no running instance of '" + what + "'", "there are: " + known);
    }
    reconcile(now);
    return {};
}

void Fleet::stop_all(Moment now) {
    if (!stopping_) say(log::Level::info, "stopping everything");
    stopping_ = true;
    reconcile(now);
}

void Fleet::kill_all(Moment now) {
    stopping_ = true;
    for (auto& [id, unit] : units_) {
        unit.wanted = false;
        if (!has_process(unit.state)) {
            fire(unit, Event::stop, now);
            continue;
        }
        unit.state = State::killing;
        arm(unit, now);
        effects_.push_back(KillTree{id});
    }
    reconcile(now);
}

void Fleet::reconcile(Moment now) {
    HAVN_ASSERT(!targets_.empty(), "begin or apply comes first: without targets everything would stop");
    while (reconcile_once(now)) {
    }
    publish();
}

bool Fleet::reconcile_once(Moment now) {
    bool changed = remove_gone();
    if (stopping_) {
        changed |= advance_stop(now);
    } else {
        changed |= retire_superfluous(now);
        for (const Target& target : targets_) {
            for (std::uint32_t i = 1; i <= target.instances; ++i) changed |= reconcile_slot(target, i, now);
        }
        changed |= start_waiting(now);
    }
    return changed;
}

// Instances past the wanted number, and those of programs that are no more.
bool Fleet::retire_superfluous(Moment now) {
    bool changed = false;
    for (auto& [id, unit] : units_) {
        const bool wanted = std::ranges::any_of(targets_, [&unit](const Target& target) {
            return target.program->name == unit.name && unit.instance <= target.instances;
        });
        if (!wanted) changed |= retire(unit, now);
    }
    return changed;
}

bool Fleet::is_outdated(const Unit& unit, const Target& target) const {
    return unit.restart_asked || unit.role != target.role ||
           (unit.program != target.program && *unit.program != *target.program);
}

// One instance of a program: its units are at most one that is up to date, and what came before it.
bool Fleet::reconcile_slot(const Target& target, std::uint32_t instance, Moment now) {
    Unit* fresh = nullptr;
    Unit* serving = nullptr;  // outdated, but ready
    bool old_runs = false;
    bool changed = false;
    for (auto& [id, unit] : units_) {
        if (unit.name != target.program->name || unit.instance != instance) continue;
        unit.outdated = !unit.wanted || is_outdated(unit, target);
        if (!unit.outdated) {
            fresh = &unit;
        } else if (unit.wanted && unit.state == State::ready) {
            serving = &unit;
        } else {
            changed |= retire(unit, now);
            old_runs |= has_process(unit.state);
        }
    }
    const bool one_at_a_time = target.role != Role::service;
    if (fresh) return (serving && fresh->state == State::ready && retire(*serving, now)) || changed;
    if (serving && !may_replace(target, instance)) return changed;
    if (one_at_a_time && serving) return retire(*serving, now);
    if (one_at_a_time && old_runs) return changed;
    create(target, instance, now);
    return true;
}

// A program is replaced one instance at a time: not while another instance is vacant or not ready yet.
bool Fleet::may_replace(const Target& target, std::uint32_t instance) const {
    for (std::uint32_t other = 1; other <= target.instances; ++other) {
        if (other == instance) continue;
        bool vacant = true;
        for (const auto& [id, unit] : units_) {
            if (unit.name != target.program->name || unit.instance != other || !unit.wanted) continue;
            vacant = false;
            if (unit.replacing) return false;
        }
        if (vacant) return false;
    }
    return true;
}

bool Fleet::is_rolling(const Target& target) const {
    return std::ranges::any_of(units_, [&](const auto& entry) {
        const Unit& unit = entry.second;
        return unit.name == target.program->name && unit.wanted && is_outdated(unit, target);
    });
}

void Fleet::create(const Target& target, std::uint32_t instance, Moment now) {
    Unit unit;
    unit.id = next_id_++;
    unit.name = target.program->name;
    unit.instance = instance;
    unit.role = target.role;
    unit.program = target.program;
    unit.replacing = is_rolling(target);
    unit.policy = RestartPolicy(restart_limits(unit));
    if (const auto asked = asked_restarts_.find(unit.label()); asked != asked_restarts_.end()) {
        unit.restarts = asked->second;
        asked_restarts_.erase(asked);
    }
    const UnitId id = unit.id;
    Unit& placed = units_.emplace(id, std::move(unit)).first->second;
    fire(placed, Event::start, now);
    if (!dependencies_met(placed)) {
        std::string names;
        for (const std::string& name : placed.program->depends_on)
            names += (names.empty() ? "" : ", ") + name;
        say(log::Level::info, "{} waits until {} is ready", placed.label(), names);
    }
}

bool Fleet::retire(Unit& unit, Moment now) {
    if (!std::exchange(unit.wanted, false)) return false;
    if (unit.restart_asked) asked_restarts_[unit.label()] = unit.restarts + 1;
    fire(unit, Event::stop, now);
    return true;
}

bool Fleet::start_waiting(Moment now) {
    bool changed = false;
    for (auto& [id, unit] : units_) {
        if (unit.state != State::waiting || !unit.wanted || !dependencies_met(unit)) continue;
        fire(unit, Event::dependencies_met, now);
        changed = true;
    }
    return changed;
}

bool Fleet::dependencies_met(const Unit& unit) const {
    if (unit.ever_ready) return true;
    return std::ranges::all_of(unit.program->depends_on, [this](const std::string& name) {
        const bool none_wanted = std::ranges::any_of(targets_, [&name](const Target& target) {
            return target.program->name == name && target.instances == 0;
        });
        return none_wanted || std::ranges::any_of(units_, [&name](const auto& entry) {
                   return entry.second.name == name && entry.second.state == State::ready;
               });
    });
}

// The gateway goes before the services, so that what it has in flight is answered; control goes last, so that
// whoever asked for the stop can watch it.
static int stop_rank(const Unit& unit) {
    if (unit.role == Role::worker || unit.name == "gateway") return 0;
    if (unit.role == Role::service) return 1;
    return unit.name == "broker" ? 2 : 3;
}

bool Fleet::advance_stop(Moment now) {
    if (units_.empty()) {
        if (!std::exchange(finished_, true)) effects_.push_back(Finished{});
        return false;
    }
    int rank = 3;
    for (const auto& [id, unit] : units_) rank = std::min(rank, stop_rank(unit));
    bool changed = false;
    for (auto& [id, unit] : units_) {
        if (stop_rank(unit) == rank) changed |= retire(unit, now);
    }
    return changed;
}

bool Fleet::remove_gone() {
    const std::size_t before = units_.size();
    for (auto it = units_.begin(); it != units_.end();) {
        const Unit& unit = it->second;
        if (unit.wanted || unit.state != State::down) {
            ++it;
            continue;
        }
        effects_.push_back(Forget{unit.id, unit.label()});
        it = units_.erase(it);
    }
    return units_.size() != before;
}

void Fleet::publish() {
    std::map<std::string, std::vector<Endpoint>> services;
    for (const Target& target : targets_) {
        if (target.role == Role::service) services[target.program->name];
    }
    std::vector<const Unit*> ready;
    for (const auto& [id, unit] : units_) {
        if (unit.role == Role::service && unit.state == State::ready) ready.push_back(&unit);
    }
    std::ranges::sort(ready, {}, [](const Unit* unit) { return std::pair(unit->instance, unit->id); });
    for (const Unit* unit : ready) services[unit->name].push_back({unit->endpoint(), unit->instance});
    if (services == endpoints_.services) return;
    endpoints_.services = std::move(services);
    ++endpoints_.version;
    effects_.push_back(Publish{});
}

}  // namespace havn::supervisor
