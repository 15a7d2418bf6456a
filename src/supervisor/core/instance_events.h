// What an event does to one instance: its next state by the table of lifecycle.h, its time limits, its
// restart policy, and the effects that follow.
//
// It knows one instance at a time. What others have to do about a change of state (dependants, replacements,
// endpoints) is the observer's part, which is told within the call, before the effects of the change.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "supervisor/core/effect.h"
#include "supervisor/core/instances.h"

namespace havn::supervisor {

// What changed its state, for those who ask later what happened.
struct Transition {
    WallTime at;
    std::string app;
    std::string name;
    std::uint32_t number;
    Role role;
    State from, to;
    int pid;            // 0 when there is no process any more
    std::string cause;  // why there is no good life, or how the last one ended; may be empty
};

class InstanceObserver {
  public:
    // `before` may be the state it is in now: an instance that was taken over enters its state.
    virtual void state_changed(Instance& instance, State before) = 0;
    // Now is a time to publish the endpoints, where they changed.
    virtual void publish() = 0;

  protected:
    ~InstanceObserver() = default;
};

class InstanceEvents {
  public:
    static constexpr std::size_t transitions_max = 10'000;

    // All of them outlive this object; they belong to the process table.
    InstanceEvents(Instances& instances, Effects& effects, InstanceObserver& observer, std::uint64_t seed)
        : instances_(instances), effects_(effects), observer_(observer), random_(seed) {}

    void fire(Instance& instance, Event event, Moment now);
    void kill(Instance& instance, Moment now);
    void started(Instance& instance, const Started& life, Moment now);
    void ended(Instance& instance, const Exit& exit, const std::string& error, Moment now);
    void probed(Instance& instance, bool healthy, const std::string& found, Moment now);
    void deadlines_passed(Moment now);
    void adopt(Instance instance, Moment now);
    // From now on nothing that ends is started again.
    void stop() { stopping_ = true; }

    // In order, since the last call. Of what nobody takes, the last transitions_max are kept.
    std::vector<Transition> take_transitions() { return std::exchange(transitions_, {}); }

  private:
    void set_state(Instance& instance, State next, Moment now);
    void note_transition(const Instance& instance, State from, Moment now);
    void perform(Instance& instance, Action action, Moment now);
    void arm(Instance& instance, Moment now);
    void after_life(Instance& instance, Moment now);
    void time_limit_passed(Instance& instance, Moment now);

    Instances& instances_;
    Effects& effects_;
    InstanceObserver& observer_;
    Random random_;
    std::size_t starting_ = 0;
    std::set<InstanceId> draining_;
    std::vector<Transition> transitions_;
    bool stopping_ = false;
};

}  // namespace havn::supervisor
