// What shall run against what runs: creates, replaces, starts and retires instances until the two agree.
//
//  - A program that changed is replaced instance by instance, a quarter of them at a time (`at_once`); a
//    service's replacement is ready before the old one is drained, a worker (and a part of the platform) ends
//    before its replacement starts. An instance that is not ready is replaced at once. A change of
//    `instances` touches no sibling.
//  - A first start waits until each program in depends_on has a ready instance; a restart does not wait.
//
// Changes of states come in by `note`; what they may ask for is noted and done by `step`. A new desired state
// looks only at the programs that differ from the ones before, and at those that depend on them.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "supervisor/core/endpoint_table.h"
#include "supervisor/core/instance_events.h"

namespace havn::supervisor {

// How many of a program's instances are replaced at the same time: a quarter, at least one.
constexpr std::uint32_t at_once(std::uint32_t instances) {
    return instances < 8 ? 1 : instances / 4;
}

class Rollout {
  public:
    // All of them outlive this object; they belong to the process table.
    Rollout(Instances& instances, InstanceEvents& events, Effects& effects, EndpointTable& endpoints)
        : instances_(instances), events_(events), effects_(effects), endpoints_(endpoints) {}

    // What shall run from now on. Nothing: control alone.
    void set_targets(const Desired* desired);
    bool has_targets() const { return !target_names_.empty(); }
    const std::vector<std::string>& target_names() const { return target_names_; }

    // An instance is new here, or its state changed.
    void place(const Instance& instance);
    void note(const Instance& instance, State before);
    // Marks what is wanted of the program as to be replaced, and says how many that are. Number 0: all.
    std::size_t ask_restart(const std::string& shown, std::uint32_t number);

    // One step of what is left to do; false when nothing is.
    bool step(Moment now);
    // Forgets those that are down and not wanted; false when there is none.
    bool remove_gone();
    // Nothing is to be started or replaced any more.
    void drop_work();
    void retire(Instance& instance, Moment now);

    bool has_slot(const std::string& shown, std::uint32_t number) const;
    // For an instance in State::waiting: those of its depends_on that have no ready instance.
    std::vector<std::string> waits_for(const Instance& instance) const;

  private:
    struct Target {
        Role role;
        std::shared_ptr<const Program> program;
        std::uint32_t instances;
    };

    // All instances of one program, and what shall be there.
    struct Group {
        std::string shown;
        std::optional<Target> target;                            // none: nothing of this name shall run
        std::size_t order = 0;                                   // among the targets
        std::map<std::uint32_t, std::vector<InstanceId>> slots;  // by number; never empty
        std::set<InstanceId> waiting;                            // in State::waiting
        std::vector<std::string> dependants;
        std::size_t ready = 0;
        std::set<std::uint32_t> awaiting;  // outdated but serving: to be replaced when their turn comes
        std::set<std::uint32_t> in_turn;   // being replaced: vacant, or not ready since
    };
    struct Slot {
        std::size_t order;
        Group* group;
        std::uint32_t number;
        bool operator<(const Slot& other) const {
            return std::tie(order, group->shown, number) <
                   std::tie(other.order, other.group->shown, other.number);
        }
    };
    struct Carried {  // from the instance that was asked to restart to its replacement
        std::uint32_t restarts;
        Exit exit;
        WallTime exited_at;
        milliseconds uptime;
    };

    Group& group_of(const std::string& shown);
    void add_target(Target target, std::set<std::string>& changed);
    void add_part(const char* name, milliseconds stop_timeout, std::set<std::string>& changed);
    void add_program(const Program& program, std::set<std::string>& changed);
    void drop_targets(const std::set<std::string>& names, std::set<std::string>& changed);
    void forget_unused();
    void examine(Group& group);
    void examine_dependants(const Group& group);
    void touch(Group& group, std::uint32_t number);
    void reconcile_slot(Group& group, std::uint32_t number, Moment now);
    void settle_fresh(Group& group, Instance& fresh, Instance* serving, Moment now);
    void replace(Group& group, std::uint32_t number, Moment now);
    void take_turns(Group& group, Moment now);
    bool is_outdated(const Instance& instance, const Target& target) const;
    InstanceId latest_up_to_date(const std::vector<InstanceId>& ids, const Target& target) const;
    void create(Group& group, std::uint32_t number, Moment now);
    void carry(const Instance& instance);
    void start_if_met(InstanceId id, Moment now);
    bool is_met(const std::string& dependency) const;

    Instances& instances_;
    InstanceEvents& events_;
    Effects& effects_;
    EndpointTable& endpoints_;
    std::map<std::string, Group> groups_;    // by the name that is shown
    std::vector<std::string> target_names_;  // in their order

    // What is left to be done by `step`.
    std::set<Slot> dirty_;
    std::set<Group*> turns_;
    std::set<InstanceId> to_start_;
    std::vector<InstanceId> gone_;

    std::map<std::string, Carried> asked_restarts_;  // by label: what the next instance goes on from
};

}  // namespace havn::supervisor
