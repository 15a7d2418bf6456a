// Jobs on their way into the broker: AMQP with publisher confirms, one connection per thread.
//
// publish() returns at once, and its waiter is told once: within publish() when the job cannot be sent, else
// later. What was sent and not confirmed when the connection broke is published again with the same message
// id. forget() is for a waiter that is gone: its job may be executed. give_up() is for one that has waited
// long enough and is told by its caller: true when the job will not be executed any more, false when that
// cannot be known (it was written to the connection, and a confirm is all that tells).
#pragma once

#include <string>
#include <string_view>

#include "contract/gateway.h"
#include "gateway/core/job_sender.h"

namespace havn::gateway {

class Publisher {
  public:
    using Outcome = JobOutcome;
    using Waiter = JobSender::Waiter;

    virtual ~Publisher() = default;
    virtual void set_broker(const BrokerAddress& broker) = 0;
    virtual void publish(Job job, Waiter& waiter) = 0;
    virtual void forget(Waiter& waiter) = 0;
    virtual bool give_up(Waiter& waiter) = 0;

    // Sends what the turn published. True: more can be sent at once.
    virtual bool end_of_turn() = 0;

    // Why the broker takes no messages; empty while it does.
    virtual std::string_view blocked_reason() const = 0;

    static std::string_view name(Outcome outcome);
    static std::string_view message(Outcome outcome);
};

}  // namespace havn::gateway
