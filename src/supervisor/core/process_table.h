// All instances of the platform and of its applications: what runs, what shall run, and what leads from one
// to the other. Pure: events and the time go in, effects come out.
//
//  - How a new desired state is reached, and who waits for whom: rollout.h.
//  - What an event does to one instance: instance_events.h and the table in lifecycle.h.
//  - A service that is ready is taken out of the endpoints and drained (until the gateway says so, at most
//    stop_timeout), then is told to end, and after stop_timeout all of it is killed.
//  - A service with a health check that fails it `retries` times in a row leaves the endpoints, comes back
//    with the first success, and is restarted after start_timeout without one. A part of the platform that
//    does not answer is killed instead: it may be frozen, and hear no SIGTERM.
//  - Stopping everything goes gateway and workers, services, broker, control.
//
// An event costs as much as it changes, whatever else there is: instances are found by name and number, what
// may have to be done about them is noted when their state changes, and their times stand in one order.
//
// After every call `take_effects` holds what is to be done, and `wake_at` says when `tick` is due.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "supervisor/core/effect.h"
#include "supervisor/core/endpoint_table.h"
#include "supervisor/core/instance_events.h"
#include "supervisor/core/instances.h"
#include "supervisor/core/rollout.h"

namespace havn::supervisor {

class ProcessTable final : private InstanceObserver {
  public:
    explicit ProcessTable(std::uint64_t seed)
        : events_(instances_, effects_, *this, seed), rollout_(instances_, events_, effects_, endpoints_) {}
    ProcessTable(const ProcessTable&) = delete;
    ProcessTable& operator=(const ProcessTable&) = delete;

    // The platform with no application: control alone. To be called once, before or instead of `apply`.
    void begin(Moment now);
    void apply(const Desired& desired, Moment now);
    // `number` 0 means all. Error::not_found names what there is.
    Result<> restart(const std::string& app, const std::string& name, std::uint32_t number, Moment now);
    void stop_all(Moment now);
    bool stopping() const { return stopping_; }
    void kill_all(Moment now);  // stop_all without patience

    void started(InstanceId id, const Started& life, Moment now);
    // The life is over, or never began: then `error` says why.
    void ended(InstanceId id, const Exit& exit, const std::string& error, Moment now);
    // What became known later about the end of the instance's last life.
    void exit_known(InstanceId id, const Exit& exit);
    void probed(InstanceId id, bool healthy, const std::string& found, Moment now);
    void reported_ready(InstanceId id, Moment now);  // by a part, over its link
    void drained(const std::string& endpoint, Moment now);
    void tick(Moment now);
    Time wake_at() const { return instances_.wake_at(); }

    // Takes over an instance of the supervisor that was here before; `begin` or `apply` follows.
    void adopt(Instance instance, Moment now);
    void continue_endpoints(std::uint64_t version) { endpoints_.continue_from(version); }

    std::vector<Transition> take_transitions() { return events_.take_transitions(); }
    std::vector<Effect> take_effects() { return effects_.take(); }
    // Which instances may have another row than at the last call.
    Touched take_touched() { return instances_.take_touched(); }

    const std::map<InstanceId, Instance>& instances() const { return instances_.all(); }
    const Instance* find(InstanceId id) const { return instances_.find(id); }
    bool has_slot(const std::string& shown, std::uint32_t number) const {
        return rollout_.has_slot(shown, number);
    }
    const Endpoints& endpoints() const { return endpoints_.endpoints(); }
    // For an instance in State::waiting: those of its depends_on that have no ready instance.
    std::vector<std::string> waits_for(const Instance& instance) const {
        return rollout_.waits_for(instance);
    }

    // How many instances were looked at so far; for tests of what an event costs.
    std::uint64_t visits() const { return instances_.visits(); }

  private:
    void state_changed(Instance& instance, State before) override;
    void publish() override;
    void reconcile(Moment now);
    bool reconcile_once(Moment now);
    bool advance_stop(Moment now);

    Effects effects_;
    Instances instances_;
    EndpointTable endpoints_;
    InstanceEvents events_;
    Rollout rollout_;
    bool stopping_ = false;
    std::size_t next_stop_rank_ = 0;
    bool finished_ = false;
};

}  // namespace havn::supervisor
