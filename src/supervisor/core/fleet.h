// All instances of the platform and of the application: what runs, what shall run, and what leads from one to
// the other. Pure: events and the time go in, effects come out.
//
//  - A program that changed is replaced instance by instance, a quarter of them at a time (`at_once`); a
//    service's replacement is ready before the old one is drained, a worker (and a part of the platform) ends
//    before its replacement starts. An instance that is not ready is replaced at once. A change of
//    `instances` touches no sibling.
//  - A first start waits until each program in depends_on has a ready instance; a restart does not wait.
//  - A service that is ready is taken out of the endpoints and drained (until the gateway says so, at most
//    stop_timeout), then gets SIGTERM, and after stop_timeout SIGKILL for its whole tree.
//  - A service with a health check that fails it `retries` times in a row leaves the endpoints, comes back
//    with the first success, and is restarted after start_timeout without one. A part of the platform that
//    does not answer is killed instead: it may be frozen, and deaf to SIGTERM.
//  - Stopping everything goes gateway and workers, services, broker, control.
//
// An event costs as much as it changes, whatever else there is: units are found by name and instance, what
// may have to be done about them is noted when their state changes, and their times stand in one order.
//
// After every call `take_effects` holds what is to be done, and `wake_at` says when `tick` is due.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "contract/link.h"
#include "supervisor/core/effect.h"
#include "supervisor/core/unit.h"

namespace havn::supervisor {

using link::Endpoint;
using link::Endpoints;  // of every service of the desired state, maybe empty

// How many of a program's instances are replaced at the same time: a quarter, at least one.
constexpr std::uint32_t at_once(std::uint32_t instances) {
    return instances < 8 ? 1 : instances / 4;
}

class Fleet {
  public:
    explicit Fleet(std::uint64_t seed) : random_(seed) {}

    // The platform with no application: control alone. To be called once, before or instead of `apply`.
    void begin(Moment now);
    void apply(const Desired& desired, Moment now);
    // `instance` 0 means all. Error::not_found names what there is.
    Result<> restart(const std::string& name, std::uint32_t instance, Moment now);
    void stop_all(Moment now);
    bool stopping() const { return stopping_; }
    void kill_all(Moment now);  // stop_all without patience

    struct Process {
        int pid;
        std::uint64_t start_time;
        std::uint16_t port;  // 0 unless the unit is a service
        std::string cookie;
    };
    void spawned(UnitId unit, Process process, Moment now);
    // The life is over, or never began: then `error` says why.
    void ended(UnitId unit, const Exit& exit, const std::string& error, Moment now);
    // What became known later about the end of the unit's last life.
    void exit_known(UnitId unit, const Exit& exit);
    void probed(UnitId unit, bool healthy, const std::string& found, Moment now);
    void reported_ready(UnitId unit, Moment now);  // by a part, over its link
    void drained(const std::string& endpoint, Moment now);
    void tick(Moment now);
    Time wake_at() const { return timers_.empty() ? Time::max() : timers_.begin()->first; }

    // Takes over a unit of the supervisor that was here before; `begin` or `apply` follows.
    void adopt(Unit unit, Moment now);
    void continue_endpoints(std::uint64_t version) { endpoints_.version = version; }

    // What changed its state since the last call, in order; for those who ask later what happened. Of what
    // nobody takes, the last transitions_max are kept.
    struct Transition {
        WallTime at;
        std::string name;
        std::uint32_t instance;
        Role role;
        State from, to;
        int pid;            // 0 when there is no process any more
        std::string cause;  // why there is no good life, or how the last one ended; may be empty
    };
    static constexpr std::size_t transitions_max = 10'000;
    std::vector<Transition> take_transitions() { return std::exchange(transitions_, {}); }

    std::vector<Effect> take_effects() { return std::exchange(effects_, {}); }
    const std::map<UnitId, Unit>& units() const { return units_; }
    const Unit* find(UnitId id) const;
    const Unit* find_pid(int pid) const;
    bool has_slot(const std::string& name, std::uint32_t instance) const;
    const Endpoints& endpoints() const { return endpoints_; }
    bool uses_port(std::uint16_t port) const { return by_port_.contains(port); }
    // For a unit in State::waiting: those of its depends_on that have no ready instance.
    std::vector<std::string> waits_for(const Unit& unit) const;

    // How many units were looked at so far; for tests of what an event costs.
    std::uint64_t visits() const { return visits_; }

  private:
    struct Target {
        Role role;
        std::shared_ptr<const Program> program;
        std::uint32_t instances;
    };

    // All units of one name, and what shall be there.
    struct Group {
        std::string name;
        std::optional<Target> target;                        // none: nothing of this name shall run
        std::size_t order = 0;                               // among the targets
        std::map<std::uint32_t, std::vector<UnitId>> slots;  // by instance; never empty
        std::set<UnitId> waiting;                            // in State::waiting
        std::vector<std::string> dependants;
        std::size_t ready = 0;
        std::set<std::uint32_t> awaiting;  // outdated but serving: to be replaced when their turn comes
        std::set<std::uint32_t> in_turn;   // being replaced: vacant, or not ready since
    };
    struct Slot {
        std::size_t order;
        Group* group;
        std::uint32_t instance;
        bool operator<(const Slot& other) const {
            return std::tie(order, group->name, instance) <
                   std::tie(other.order, other.group->name, other.instance);
        }
    };
    struct Joined {  // or left: a service's unit, in or out of the ready ones
        std::string name;
        Endpoint endpoint;
        bool ready;
    };
    struct Carried {  // from the unit that was asked to restart to its replacement
        std::uint32_t restarts;
        Exit exit;
        WallTime exited_at;
        milliseconds uptime;
    };

    // Lives: fleet.cc
    void set_state(Unit& unit, State next, Moment now);
    void note_transition(const Unit& unit, State from, Moment now);
    void fire(Unit& unit, Event event, Moment now);
    void perform(Unit& unit, Action action, Moment now);
    void arm(Unit& unit, Moment now);
    void schedule(Unit& unit);
    void after_life(Unit& unit, Moment now);
    void time_limit_passed(Unit& unit, Moment now);
    void place(const Unit& unit);  // into the indexes
    void remove(UnitId id);
    Unit* look_up(UnitId id);
    bool gateway_runs() const;

    // What shall run: fleet_plan.cc
    void set_targets(const Desired* desired);
    void drop_stale();
    bool is_service(const std::string& name) const;
    void add_target(Target target);
    void add_part(const char* name, milliseconds stop_timeout);
    Group& group_of(const std::string& name);
    void touch(Group& group, std::uint32_t instance);
    void examine_dependants(const Group& group);
    void reconcile(Moment now);
    bool reconcile_once(Moment now);
    void reconcile_slot(Group& group, std::uint32_t instance, Moment now);
    void replace(Group& group, std::uint32_t instance, Moment now);
    void take_turns(Group& group, Moment now);
    bool is_outdated(const Unit& unit, const Target& target) const;
    bool advance_stop(Moment now);
    void create(Group& group, std::uint32_t instance, Moment now);
    void carry(const Unit& unit);
    void retire(Unit& unit, Moment now);
    void start_if_met(UnitId id, Moment now);
    bool is_met(const std::string& dependency) const;
    void publish();

    template <class... Args>
    void say(log::Level level, fmt::format_string<Args...> format, Args&&... args) {
        effects_.push_back(Say{level, fmt::format(format, std::forward<Args>(args)...)});
    }

    Random random_;
    std::map<UnitId, Unit> units_;
    UnitId next_id_ = 1;
    std::map<std::string, Group> groups_;
    std::vector<std::string> target_names_;  // in their order
    std::unordered_map<int, UnitId> by_pid_;
    std::unordered_map<std::uint16_t, UnitId> by_port_;
    std::set<std::pair<Time, UnitId>> timers_;
    std::array<std::size_t, 4> by_stop_rank_{};
    std::size_t starting_ = 0;

    // What is left to be done by `reconcile`.
    std::set<Slot> dirty_;
    std::set<Group*> turns_;
    std::set<UnitId> to_start_;
    std::vector<UnitId> gone_;
    std::vector<Joined> joined_;
    bool services_changed_ = false;

    std::map<std::string, Carried> asked_restarts_;  // by label: what the next unit goes on from
    Endpoints endpoints_;
    std::vector<Effect> effects_;
    std::vector<Transition> transitions_;
    std::uint64_t visits_ = 0;
    bool stopping_ = false;
    std::size_t next_stop_rank_ = 0;
    bool finished_ = false;
};

}  // namespace havn::supervisor
