// Jobs on their way into the broker: AMQP with publisher confirms, one connection per thread.
//
// publish() returns at once; its waiter is told once, later. What was not sent waits for the connection; what
// was sent and not confirmed when the connection broke is published again with the same message id. A waiter
// that forgot its job is told nothing, and the job may be delivered all the same.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gateway/core/config.h"

namespace havn::gateway {

class Publisher {
  public:
    enum class Outcome : std::uint8_t {
        confirmed,
        unroutable,  // returned: there is no such queue
        refused,     // nacked, or the broker closed the channel over it
        timed_out,   // no confirm in time
    };
    class Waiter {
      public:
        virtual void on_published(Outcome outcome) = 0;

      protected:
        ~Waiter() = default;
    };
    struct Job {
        std::string id, queue, content_type, body;
        std::vector<std::pair<std::string, std::string>> headers;
    };

    virtual ~Publisher() = default;
    virtual void set_broker(const BrokerAddress& broker) = 0;
    virtual void publish(Job job, Waiter& waiter) = 0;
    virtual void forget(Waiter& waiter) = 0;
    virtual void end_of_turn() = 0;  // sends what the turn published

    static std::string_view name(Outcome outcome);
    static std::string_view message(Outcome outcome);
};

}  // namespace havn::gateway
