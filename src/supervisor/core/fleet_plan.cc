// What shall run against what runs: creates, replaces and retires units until the two agree.
#include <algorithm>

#include "base/assert.h"
#include "supervisor/core/fleet.h"

namespace havn::supervisor {

// Every part is asked over its link whether it is there. One that is starting is not: a long recovery of the
// broker is no failure.
static HealthCheck part_health() {
    return {.interval = milliseconds(3'000), .timeout = milliseconds(2'000), .retries = 3};
}

void Fleet::add_part(const char* name, milliseconds stop_timeout) {
    Program program;
    program.name = name;
    program.start_timeout = std::chrono::minutes(10);
    program.startsecs = milliseconds(100);
    program.startretries = 5;
    program.stop_timeout = stop_timeout;
    program.health = part_health();
    add_target({Role::platform, std::make_shared<const Program>(std::move(program)), 1});
}

Fleet::Group& Fleet::group_of(const std::string& name) {
    const auto [entry, is_new] = groups_.try_emplace(name);
    if (is_new) entry->second.name = name;
    return entry->second;
}

// Those that are to go come first.
void Fleet::touch(Group& group, std::uint32_t instance) {
    const bool superfluous = !group.target || instance > group.target->instances;
    dirty_.insert({superfluous ? 0 : group.order + 1, &group, instance});
}

void Fleet::examine_dependants(const Group& group) {
    for (const std::string& name : group.dependants) {
        const std::set<UnitId>& waiting = group_of(name).waiting;
        to_start_.insert(waiting.begin(), waiting.end());
    }
}

void Fleet::add_target(Target target) {
    Group& group = group_of(target.program->name);
    group.order = target_names_.size();
    target_names_.push_back(group.name);
    // An unchanged program keeps its object: units that have it are seen to be up to date at a glance.
    if (group.target && *group.target->program == *target.program) target.program = group.target->program;
    group.target = std::move(target);
    if (group.target->role == Role::service && endpoints_.services.try_emplace(group.name).second)
        services_changed_ = true;
}

bool Fleet::is_service(const std::string& name) const {
    const auto group = groups_.find(name);
    return group != groups_.end() && group->second.target && group->second.target->role == Role::service;
}

// Names that nothing has any more.
void Fleet::drop_stale() {
    const std::size_t gone = std::erase_if(endpoints_.services, [this](const auto& entry) {
        return entry.second.empty() && !is_service(entry.first);
    });
    services_changed_ |= gone > 0;
    dirty_.clear();
    turns_.clear();
    std::erase_if(groups_, [](const auto& entry) {
        const Group& group = entry.second;
        return !group.target && group.slots.empty() && group.dependants.empty();
    });
}

void Fleet::set_targets(const Desired* desired) {
    std::set<std::string> before(target_names_.begin(), target_names_.end());
    target_names_.clear();
    for (auto& [name, group] : groups_) group.dependants.clear();
    add_part("control", seconds(3));
    if (desired) {
        if (desired->embedded_broker) add_part("broker", seconds(10));
        add_part("gateway", seconds(10));
        for (Program program : desired->programs) {
            const std::uint32_t instances = std::exchange(program.instances, 1);
            const Role role = program.kind == Kind::service ? Role::service : Role::worker;
            for (const std::string& needed : program.depends_on)
                group_of(needed).dependants.push_back(program.name);
            add_target({role, std::make_shared<const Program>(std::move(program)), instances});
        }
    }
    for (const std::string& name : target_names_) before.erase(name);
    for (const std::string& name : before) group_of(name).target.reset();
    drop_stale();
    for (auto& [name, group] : groups_) {
        for (const auto& [instance, ids] : group.slots) touch(group, instance);
        for (std::uint32_t i = 1; group.target && i <= group.target->instances; ++i) touch(group, i);
        to_start_.insert(group.waiting.begin(), group.waiting.end());
        turns_.insert(&group);
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
    if (const auto group = groups_.find(name); group != groups_.end()) {
        for (const auto& [number, ids] : group->second.slots) {
            if (instance != 0 && number != instance) continue;
            touch(group->second, number);
            for (const UnitId id : ids) {
                Unit& unit = *look_up(id);
                if (!unit.wanted) continue;
                unit.restart_asked = true;
                ++found;
            }
        }
    }
    if (found == 0) {
        std::string known;
        for (const std::string& target : target_names_) known += (known.empty() ? "" : ", ") + target;
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
        set_state(unit, State::killing, now);
        arm(unit, now);
        effects_.push_back(KillTree{id});
    }
    reconcile(now);
}

void Fleet::reconcile(Moment now) {
    HAVN_ASSERT(!target_names_.empty(), "begin or apply comes first: without targets everything would stop");
    while (reconcile_once(now)) {
    }
    publish();
}

// One step of what is left to do; false when nothing is.
bool Fleet::reconcile_once(Moment now) {
    if (!gone_.empty()) {
        for (const UnitId id : std::exchange(gone_, {})) remove(id);
        return true;
    }
    if (stopping_) {
        dirty_.clear();
        turns_.clear();
        to_start_.clear();
        return advance_stop(now);
    }
    if (!dirty_.empty()) {
        const Slot slot = *dirty_.begin();
        dirty_.erase(dirty_.begin());
        reconcile_slot(*slot.group, slot.instance, now);
        return true;
    }
    if (!turns_.empty()) {
        Group* const group = *turns_.begin();
        turns_.erase(turns_.begin());
        take_turns(*group, now);
        return true;
    }
    for (const UnitId id : std::exchange(to_start_, {})) start_if_met(id, now);
    return !dirty_.empty() || !gone_.empty() || !to_start_.empty();
}

bool Fleet::is_outdated(const Unit& unit, const Target& target) const {
    return unit.restart_asked || unit.role != target.role ||
           (unit.program != target.program && *unit.program != *target.program);
}

// One instance of a program: its units are at most one that is up to date, and what came before it.
void Fleet::reconcile_slot(Group& group, std::uint32_t instance, Moment now) {
    const auto slot = group.slots.find(instance);
    const std::vector<UnitId> ids = slot == group.slots.end() ? std::vector<UnitId>() : slot->second;
    turns_.insert(&group);
    group.awaiting.erase(instance);
    if (!group.target || instance > group.target->instances) {
        group.in_turn.erase(instance);
        for (const UnitId id : ids) retire(*look_up(id), now);
        return;
    }
    const Target& target = *group.target;
    Unit* fresh = nullptr;
    Unit* serving = nullptr;  // outdated, but ready
    bool old_runs = false;
    for (const UnitId id : ids) {
        Unit& unit = *look_up(id);
        unit.outdated = !unit.wanted || is_outdated(unit, target);
        if (!unit.outdated) {
            unit.program = target.program;  // equal, and from now on the same object
            fresh = &unit;
        } else if (unit.wanted && unit.state == State::ready) {
            serving = &unit;
        } else {
            retire(unit, now);
            old_runs |= has_process(unit.state);
        }
    }
    if (fresh) {
        if (fresh->state == State::down)
            fire(*fresh, Event::start, now);  // taken over in the midst of a stop
        if (serving && fresh->state == State::ready) retire(*serving, now);
        if (fresh->replacing) {
            group.in_turn.insert(instance);
        } else {
            group.in_turn.erase(instance);
        }
    } else if (serving) {
        group.in_turn.erase(instance);
        group.awaiting.insert(instance);
    } else if (target.role != Role::service && old_runs) {
        group.in_turn.insert(instance);  // its replacement starts when the old one has ended
    } else {
        create(group, instance, now);
    }
}

// A program's instances take turns: while as many as may be away at once are vacant or not ready yet, the
// others wait.
void Fleet::take_turns(Group& group, Moment now) {
    if (!group.target) return;
    while (!group.awaiting.empty() && group.in_turn.size() < at_once(group.target->instances)) {
        const std::uint32_t instance = *group.awaiting.begin();
        group.awaiting.erase(group.awaiting.begin());
        group.in_turn.insert(instance);
        replace(group, instance, now);
    }
}

void Fleet::replace(Group& group, std::uint32_t instance, Moment now) {
    if (group.target->role == Role::service) return create(group, instance, now);
    const std::vector<UnitId> ids = group.slots.at(instance);
    for (const UnitId id : ids) retire(*look_up(id), now);
}

void Fleet::create(Group& group, std::uint32_t instance, Moment now) {
    const auto slot = group.slots.find(instance);
    const bool follows = slot != group.slots.end() || group.in_turn.contains(instance);
    Unit unit;
    unit.id = next_id_++;
    unit.name = group.name;
    unit.instance = instance;
    unit.role = group.target->role;
    unit.program = group.target->program;
    unit.replacing = follows || !group.awaiting.empty();
    unit.policy = RestartPolicy(restart_limits(unit));
    for (const UnitId id : follows&& slot != group.slots.end() ? slot->second : std::vector<UnitId>()) {
        if (const Unit& old = *look_up(id); old.restart_asked) carry(old);
    }
    if (const auto asked = asked_restarts_.find(unit.label()); asked != asked_restarts_.end()) {
        unit.restarts = asked->second.restarts;
        unit.exit = asked->second.exit;
        unit.exited_at = asked->second.exited_at;
        unit.uptime = asked->second.uptime;
        unit.reason = "a restart was asked for";
        asked_restarts_.erase(asked);
    } else if (follows) {
        unit.reason = "the configuration changed";
    }
    const UnitId id = unit.id;
    Unit& placed = units_.emplace(id, std::move(unit)).first->second;
    place(placed);
    fire(placed, Event::start, now);
    const std::vector<std::string> needed = waits_for(placed);
    if (!needed.empty())
        say(log::Level::info, "{} waits until {} is ready", placed.label(), fmt::join(needed, ", "));
}

void Fleet::carry(const Unit& unit) {
    asked_restarts_[unit.label()] = {unit.restarts + 1, unit.exit, unit.exited_at, unit.uptime};
}

void Fleet::retire(Unit& unit, Moment now) {
    if (!std::exchange(unit.wanted, false)) return;
    // A service's replacement is there before it.
    if (unit.restart_asked && unit.role != Role::service) carry(unit);
    fire(unit, Event::stop, now);
}

void Fleet::start_if_met(UnitId id, Moment now) {
    Unit* const unit = look_up(id);
    if (!unit || unit->state != State::waiting || !unit->wanted || !waits_for(*unit).empty()) return;
    fire(*unit, Event::dependencies_met, now);
}

std::vector<std::string> Fleet::waits_for(const Unit& unit) const {
    std::vector<std::string> names;
    if (unit.ever_ready || unit.state != State::waiting) return names;
    for (const std::string& name : unit.program->depends_on) {
        if (!is_met(name)) names.push_back(name);
    }
    return names;
}

// One of which no instance is wanted is not waited for.
bool Fleet::is_met(const std::string& dependency) const {
    const auto group = groups_.find(dependency);
    if (group == groups_.end()) return false;
    const std::optional<Target>& target = group->second.target;
    return group->second.ready > 0 || (target && target->instances == 0);
}

bool Fleet::advance_stop(Moment now) {
    if (units_.empty()) {
        if (!std::exchange(finished_, true)) effects_.push_back(Finished{});
        return false;
    }
    const auto rank = static_cast<std::size_t>(std::ranges::find_if(by_stop_rank_, std::identity{}) -
                                               by_stop_rank_.begin());
    if (rank < next_stop_rank_) return false;  // those that go now have been told
    next_stop_rank_ = rank + 1;
    for (auto& [id, unit] : units_) {
        if (stop_rank(unit) == rank) retire(unit, now);
    }
    return true;
}

// Takes what became ready, or is not any more, into the endpoints; in the order of the instances.
void Fleet::publish() {
    bool changed = std::exchange(services_changed_, false);
    for (const Joined& joined : std::exchange(joined_, {})) {
        ++visits_;
        std::vector<Endpoint>& list = endpoints_.services[joined.name];
        const auto [first, last] =
            std::ranges::equal_range(list, joined.endpoint.instance, {}, &Endpoint::instance);
        const auto found = std::ranges::find(first, last, joined.endpoint);
        if (joined.ready == (found != last)) continue;
        changed = true;
        if (joined.ready) {
            list.insert(last, joined.endpoint);
        } else {
            list.erase(found);
        }
        if (list.empty() && !is_service(joined.name)) endpoints_.services.erase(joined.name);
    }
    if (!changed) return;
    ++endpoints_.version;
    effects_.push_back(Publish{});
}

}  // namespace havn::supervisor
