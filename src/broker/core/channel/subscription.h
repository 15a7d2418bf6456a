// One basic.consume: a consumer of a queue, on behalf of a channel.
//
// Belongs to the channel's Subscriptions, which it refers to. Its queue outlives it: a queue that is deleted
// cancels its consumers first.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "broker/core/queue/consumer.h"

namespace havn::broker {

class Queue;
class Subscriptions;

class Subscription final : public Consumer {
  public:
    Subscription(Subscriptions& owner, std::string tag, Queue& queue, const Settings& settings)
        : Consumer(settings), tag(std::move(tag)), queue(queue), owner_(owner) {}

    bool has_credit() override;
    void deliver(Delivery& delivery) override;
    void cancelled() override;

    const std::string tag;
    Queue& queue;
    std::uint32_t prefetch = 0;  // unacknowledged messages it may hold; 0: any number
    std::uint32_t unacked = 0;

  private:
    Subscriptions& owner_;
};

}  // namespace havn::broker
