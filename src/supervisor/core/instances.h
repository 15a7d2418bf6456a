// All instances with what finds them: by id, by the address they answer at, by their next time, by their
// place in the order of stopping.
//
// It decides nothing. Who changes an instance's state, address or times tells it through the functions here,
// so that the orders stay true. It notes which instances were handed out for a change, so that what is
// written about the table afterwards costs as much as changed, and counts how often it was asked, for tests
// of that.
//
// References stay valid until `remove` of the same id.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "supervisor/core/instance.h"

namespace havn::supervisor {

// Since the last time it was asked. A touched instance need not have changed; one that is gone was known.
struct Touched {
    std::vector<InstanceId> instances;
    std::vector<InstanceId> gone;
};

class Instances {
  public:
    InstanceId next_id() const { return next_id_; }
    // The id must be new.
    Instance& add(Instance instance);
    void remove(InstanceId id);

    // For a change; null when there is none.
    Instance* look_up(InstanceId id);
    const Instance* find(InstanceId id) const;
    const Instance* find_address(const std::string& address) const;
    const std::map<InstanceId, Instance>& all() const { return all_; }
    bool part_runs(std::string_view name) const;

    void begin_life(Instance& instance, const Started& life);
    // Puts the instance's next time into the order of all.
    void schedule(Instance& instance);
    Time wake_at() const { return timers_.empty() ? Time::max() : timers_.begin()->first; }
    // One whose time has come; null when there is none.
    Instance* due(Time now);

    // The lowest place in the order of stopping that still has an instance; stop_ranks when there is none.
    std::size_t lowest_stop_rank() const;

    Touched take_touched();
    void count_visit() { ++visits_; }
    std::uint64_t visits() const { return visits_; }

  private:
    void unlist(const Instance& instance);

    std::map<InstanceId, Instance> all_;
    InstanceId next_id_ = 1;
    std::unordered_map<std::string, InstanceId> by_address_;
    std::set<InstanceId> parts_;  // of the platform
    std::set<std::pair<Time, InstanceId>> timers_;
    std::array<std::size_t, stop_ranks> by_stop_rank_{};
    std::set<InstanceId> touched_;
    std::vector<InstanceId> gone_;
    std::uint64_t visits_ = 0;
};

}  // namespace havn::supervisor
