// Who takes messages from a queue, as the queue sees it.
//
// A consumer belongs to whoever implements it, a channel for one. It adds itself to one queue and removes
// itself before it is destroyed; a queue that is deleted tells it by cancelled(), within which it removes
// itself.
#pragma once

#include <cstdint>

#include "broker/core/message/backlog.h"
#include "broker/core/message/entry.h"

namespace havn::broker {

// One message on its way to a consumer.
struct Delivery {
    Entry entry;
    LanePlace place;     // where it is put back when it is returned
    MessagePtr content;  // its message, whether the entry holds it or not
};

class Consumer {
  public:
    struct Settings {
        bool no_ack = false;        // what was delivered is over
        bool exclusive = false;     // no other consumer beside it
        std::int32_t priority = 0;  // x-priority: higher is served first while it has credit
    };

    explicit Consumer(const Settings& settings) : settings_(settings) {}
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;

    const Settings& settings() const { return settings_; }

    // Whether it takes one more now. One that said no calls Queue::on_credit() when that may have changed.
    virtual bool has_credit() = 0;

    // Asked only while it has credit. Unless no_ack, it moves the entry out and hands it back to the queue
    // one day: acknowledge(), give_back() or reject(). With no_ack it leaves the entry where it is.
    virtual void deliver(Delivery& delivery) = 0;

    // The queue is being deleted.
    virtual void cancelled() = 0;

  protected:
    ~Consumer() = default;  // nobody destroys one through this interface

  private:
    Settings settings_;
};

}  // namespace havn::broker
