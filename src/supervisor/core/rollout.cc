#include "supervisor/core/rollout.h"

#include <algorithm>
#include <utility>

namespace havn::supervisor {

namespace {

// Every part is asked over its link whether it is there. One that is starting is not: a long recovery of the
// broker is no failure.
HealthCheck part_health() {
    return {.interval = milliseconds(3'000), .timeout = milliseconds(2'000), .retries = 3};
}

}  // namespace

Rollout::Group& Rollout::group_of(const std::string& shown) {
    const auto [entry, is_new] = groups_.try_emplace(shown);
    if (is_new) entry->second.shown = shown;
    return entry->second;
}

void Rollout::add_part(const char* name, milliseconds stop_timeout, std::set<std::string>& changed) {
    Program program;
    program.name = name;
    program.start_timeout = std::chrono::minutes(10);
    program.startsecs = milliseconds(100);
    program.startretries = 5;
    program.stop_timeout = stop_timeout;
    program.health = part_health();
    add_target({Role::platform, std::make_shared<const Program>(std::move(program)), 1}, changed);
}

void Rollout::add_program(const Program& wanted, std::set<std::string>& changed) {
    Program program = wanted;
    const std::uint32_t instances = std::exchange(program.instances, 1);
    const Role role = program.kind == Kind::service ? Role::service : Role::worker;
    for (const std::string& needed : program.depends_on) {
        group_of(shown_name(program.app, needed)).dependants.push_back(shown_name(program.app, program.name));
    }
    add_target({role, std::make_shared<const Program>(std::move(program)), instances}, changed);
}

void Rollout::add_target(Target target, std::set<std::string>& changed) {
    Group& group = group_of(shown_name(target.program->app, target.program->name));
    group.order = target_names_.size();
    target_names_.push_back(group.shown);
    const std::optional<Target> before = std::move(group.target);
    // An unchanged program keeps its object: instances that have it are seen to be up to date at a glance.
    const bool same = before && *before->program == *target.program;
    if (same) target.program = before->program;
    if (!same || before->role != target.role || before->instances != target.instances) {
        changed.insert(group.shown);
    }
    group.target = std::move(target);
    if (group.target->role == Role::service) {
        endpoints_.want(group.shown);
    } else {
        endpoints_.unwant(group.shown);
    }
}

void Rollout::drop_targets(const std::set<std::string>& names, std::set<std::string>& changed) {
    for (const std::string& name : names) {
        Group& group = group_of(name);
        group.target.reset();
        endpoints_.unwant(name);
        changed.insert(name);
    }
}

// Names that nothing has any more.
void Rollout::forget_unused() {
    dirty_.clear();
    turns_.clear();
    std::erase_if(groups_, [](const auto& entry) {
        const Group& group = entry.second;
        return !group.target && group.slots.empty() && group.dependants.empty();
    });
}

void Rollout::set_targets(const Desired* desired) {
    std::set<std::string> before(target_names_.begin(), target_names_.end());
    std::set<std::string> changed;
    if (before.empty()) {  // what was taken over is looked at as a whole
        for (const auto& [name, group] : groups_) changed.insert(name);
    }
    target_names_.clear();
    for (auto& [name, group] : groups_) group.dependants.clear();
    add_part("control", seconds(3), changed);
    if (desired) {
        if (desired->embedded_broker) add_part("broker", seconds(10), changed);
        add_part("gateway", seconds(10), changed);
        for (const Program& program : desired->programs) add_program(program, changed);
    }
    for (const std::string& name : target_names_) before.erase(name);
    drop_targets(before, changed);
    forget_unused();
    for (const std::string& name : changed) {
        if (const auto group = groups_.find(name); group != groups_.end()) examine(group->second);
    }
}

// All that a changed target may ask for.
void Rollout::examine(Group& group) {
    for (const auto& [number, ids] : group.slots) touch(group, number);
    for (std::uint32_t i = 1; group.target && i <= group.target->instances; ++i) touch(group, i);
    to_start_.insert(group.waiting.begin(), group.waiting.end());
    turns_.insert(&group);
    examine_dependants(group);
}

void Rollout::examine_dependants(const Group& group) {
    for (const std::string& name : group.dependants) {
        const std::set<InstanceId>& waiting = group_of(name).waiting;
        to_start_.insert(waiting.begin(), waiting.end());
    }
}

// Those that are to go come first.
void Rollout::touch(Group& group, std::uint32_t number) {
    const bool superfluous = !group.target || number > group.target->instances;
    dirty_.insert({superfluous ? 0 : group.order + 1, &group, number});
}

void Rollout::place(const Instance& instance) {
    Group& group = group_of(instance.shown());
    group.slots[instance.number].push_back(instance.id);
    touch(group, instance.number);
}

void Rollout::note(const Instance& instance, State before) {
    Group& group = group_of(instance.shown());
    touch(group, instance.number);
    const State now = instance.state;
    if (before == State::waiting) group.waiting.erase(instance.id);
    if (now == State::waiting) {
        group.waiting.insert(instance.id);
        to_start_.insert(instance.id);
    }
    if ((before == State::ready) != (now == State::ready)) {
        group.ready += now == State::ready ? 1 : -1;
        if (group.ready == (now == State::ready ? 1 : 0)) examine_dependants(group);
    }
    if (now == State::down && !instance.wanted) gone_.push_back(instance.id);
}

std::size_t Rollout::ask_restart(const std::string& shown, std::uint32_t number) {
    const auto group = groups_.find(shown);
    if (group == groups_.end()) return 0;
    std::size_t found = 0;
    for (const auto& [present, ids] : group->second.slots) {
        if (number != 0 && present != number) continue;
        touch(group->second, present);
        for (const InstanceId id : ids) {
            Instance& instance = *instances_.look_up(id);
            if (!instance.wanted) continue;
            instance.restart_asked = true;
            ++found;
        }
    }
    return found;
}

bool Rollout::remove_gone() {
    if (gone_.empty()) return false;
    for (const InstanceId id : std::exchange(gone_, {})) {
        const Instance& instance = *instances_.look_up(id);
        effects_.add(Forget{id, instance.app, instance.name, instance.number, instance.role});
        Group& group = group_of(instance.shown());
        const auto slot = group.slots.find(instance.number);
        std::erase(slot->second, id);
        if (slot->second.empty()) group.slots.erase(slot);
        touch(group, instance.number);
        instances_.remove(id);
    }
    return true;
}

void Rollout::drop_work() {
    dirty_.clear();
    turns_.clear();
    to_start_.clear();
}

bool Rollout::step(Moment now) {
    if (!dirty_.empty()) {
        const Slot slot = *dirty_.begin();
        dirty_.erase(dirty_.begin());
        reconcile_slot(*slot.group, slot.number, now);
        return true;
    }
    if (!turns_.empty()) {
        Group* const group = *turns_.begin();
        turns_.erase(turns_.begin());
        take_turns(*group, now);
        return true;
    }
    for (const InstanceId id : std::exchange(to_start_, {})) start_if_met(id, now);
    return !dirty_.empty() || !gone_.empty() || !to_start_.empty();
}

bool Rollout::is_outdated(const Instance& instance, const Target& target) const {
    return instance.restart_asked || instance.role != target.role ||
           (instance.program != target.program && *instance.program != *target.program);
}

// Of several that are up to date the latest counts. A supervisor that died while a replacement was starting
// may have written down the replacement, and not why the one before was to go. 0: none is.
InstanceId Rollout::latest_up_to_date(const std::vector<InstanceId>& ids, const Target& target) const {
    InstanceId latest = 0;
    for (const InstanceId id : ids) {
        const Instance& instance = *instances_.find(id);
        if (instance.wanted && !is_outdated(instance, target)) latest = std::max(latest, id);
    }
    return latest;
}

// One number of a program: at most one instance that is up to date, and what came before it.
void Rollout::reconcile_slot(Group& group, std::uint32_t number, Moment now) {
    const auto slot = group.slots.find(number);
    const std::vector<InstanceId> ids = slot == group.slots.end() ? std::vector<InstanceId>() : slot->second;
    turns_.insert(&group);
    group.awaiting.erase(number);
    if (!group.target || number > group.target->instances) {
        group.in_turn.erase(number);
        for (const InstanceId id : ids) retire(*instances_.look_up(id), now);
        return;
    }
    const Target& target = *group.target;
    const InstanceId latest = latest_up_to_date(ids, target);
    Instance* fresh = nullptr;
    Instance* serving = nullptr;  // outdated, but ready
    bool old_runs = false;
    for (const InstanceId id : ids) {
        Instance& instance = *instances_.look_up(id);
        instance.outdated = id != latest;
        if (!instance.outdated) {
            instance.program = target.program;  // equal, and from now on the same object
            fresh = &instance;
        } else if (instance.wanted && instance.state == State::ready) {
            serving = &instance;
        } else {
            retire(instance, now);
            old_runs |= has_process(instance.state);
        }
    }
    if (fresh) {
        settle_fresh(group, *fresh, serving, now);
    } else if (serving) {
        group.in_turn.erase(number);
        group.awaiting.insert(number);
    } else if (target.role != Role::service && old_runs) {
        group.in_turn.insert(number);  // its replacement starts when the old one has ended
    } else {
        create(group, number, now);
    }
}

void Rollout::settle_fresh(Group& group, Instance& fresh, Instance* serving, Moment now) {
    // Down: it was taken over in the midst of a stop.
    if (fresh.state == State::down) events_.fire(fresh, Event::start, now);
    if (serving && fresh.state == State::ready) retire(*serving, now);
    if (fresh.replacing) {
        group.in_turn.insert(fresh.number);
    } else {
        group.in_turn.erase(fresh.number);
    }
}

// A program's instances take turns: while as many as may be away at once are vacant or not ready yet, the
// others wait.
void Rollout::take_turns(Group& group, Moment now) {
    if (!group.target) return;
    while (!group.awaiting.empty() && group.in_turn.size() < at_once(group.target->instances)) {
        const std::uint32_t number = *group.awaiting.begin();
        group.awaiting.erase(group.awaiting.begin());
        group.in_turn.insert(number);
        replace(group, number, now);
    }
}

void Rollout::replace(Group& group, std::uint32_t number, Moment now) {
    if (group.target->role == Role::service) return create(group, number, now);
    const std::vector<InstanceId> ids = group.slots.at(number);
    for (const InstanceId id : ids) retire(*instances_.look_up(id), now);
}

void Rollout::create(Group& group, std::uint32_t number, Moment now) {
    const auto slot = group.slots.find(number);
    const bool replaces = slot != group.slots.end();
    const bool follows = replaces || group.in_turn.contains(number);
    Instance instance;
    instance.id = instances_.next_id();
    instance.app = group.target->program->app;
    instance.name = group.target->program->name;
    instance.number = number;
    instance.role = group.target->role;
    instance.program = group.target->program;
    instance.replacing = follows || !group.awaiting.empty();
    instance.policy = RestartPolicy(restart_limits(instance));
    for (const InstanceId id : replaces ? slot->second : std::vector<InstanceId>()) {
        if (const Instance& old = *instances_.look_up(id); old.restart_asked) carry(old);
    }
    if (const auto asked = asked_restarts_.find(instance.label()); asked != asked_restarts_.end()) {
        instance.restarts = asked->second.restarts;
        instance.exit = asked->second.exit;
        instance.exited_at = asked->second.exited_at;
        instance.uptime = asked->second.uptime;
        instance.reason = "a restart was asked for";
        asked_restarts_.erase(asked);
    } else if (follows) {
        instance.reason = "the configuration changed";
    }
    Instance& placed = instances_.add(std::move(instance));
    place(placed);
    events_.fire(placed, Event::start, now);
    const std::vector<std::string> needed = waits_for(placed);
    if (!needed.empty()) {
        effects_.say(log::Level::info, "{} waits until {} is ready", placed.label(), fmt::join(needed, ", "));
    }
}

void Rollout::carry(const Instance& instance) {
    asked_restarts_[instance.label()] = {instance.restarts + 1, instance.exit, instance.exited_at,
                                         instance.uptime};
}

void Rollout::retire(Instance& instance, Moment now) {
    if (!std::exchange(instance.wanted, false)) return;
    // A service's replacement is there before it.
    if (instance.restart_asked && instance.role != Role::service) carry(instance);
    events_.fire(instance, Event::stop, now);
}

void Rollout::start_if_met(InstanceId id, Moment now) {
    Instance* const instance = instances_.look_up(id);
    if (!instance || instance->state != State::waiting || !instance->wanted) return;
    if (waits_for(*instance).empty()) events_.fire(*instance, Event::dependencies_met, now);
}

bool Rollout::has_slot(const std::string& shown, std::uint32_t number) const {
    const auto group = groups_.find(shown);
    return group != groups_.end() && group->second.slots.contains(number);
}

std::vector<std::string> Rollout::waits_for(const Instance& instance) const {
    std::vector<std::string> names;
    if (instance.ever_ready || instance.state != State::waiting) return names;
    for (const std::string& name : instance.program->depends_on) {
        if (!is_met(shown_name(instance.app, name))) names.push_back(name);
    }
    return names;
}

// One of which no instance is wanted is not waited for.
bool Rollout::is_met(const std::string& dependency) const {
    const auto group = groups_.find(dependency);
    if (group == groups_.end()) return false;
    const std::optional<Target>& target = group->second.target;
    return group->second.ready > 0 || (target && target->instances == 0);
}

}  // namespace havn::supervisor
