// The deadlines of one transaction: which of them guards each state, and when the entry among the thread's
// deadlines must be moved.
//
// Guards: until an attempt has its connection, the route's connect_timeout; while bytes are relayed,
// idle_timeout after the last byte in either direction (tunnel_timeout in tunnels and event streams); over
// both, the route's timeout for all of it; while the gateway answers itself or a job is confirmed, a fixed
// moment. The entry is moved only to come earlier, so that progress costs a note of the time: what was put
// off is found out when the entry fires.
#pragma once

#include <optional>

#include "base/time.h"
#include "contract/gateway.h"
#include "gateway/core/transaction_states.h"

namespace havn::gateway {

class Guard {
  public:
    void begin(Time now) {
        *this = Guard();
        started_ = progressed_ = now;
    }

    // The route's limits hold from now on; the route outlives the transaction.
    void set_route(const Route& route) {
        route_ = &route;
        if (route.timeout) total_ = started_ + *route.timeout;
    }
    void attempt_begins(Time now) {
        progressed_ = now;
        connect_ = now + route_->connect_timeout;
    }
    void note_progress(Time now) { progressed_ = now; }
    void expect_silence() { silent_ = true; }
    void set_fixed(Time until) { fixed_ = until; }

    Time started() const { return started_; }
    bool is_total_over(Time now) const { return now >= total_; }

    // When the present state has lasted long enough.
    Time due(TransactionState state) const;

    // Where the entry is to be set to; nothing when it `is_set` and comes early enough.
    std::optional<Time> rearm(TransactionState state, bool is_set);

  private:
    const Route* route_ = nullptr;
    Time started_{};
    Time total_ = Time::max();  // unless the route has a timeout
    Time connect_{};            // of this attempt
    Time progressed_{};         // when a byte last came or went, or an attempt began
    Time fixed_{};
    Time armed_for_{};  // where the entry stands
    bool silent_ = false;
};

}  // namespace havn::gateway
