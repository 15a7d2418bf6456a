// The turns of queues and their timers, for all virtual hosts of a broker together: what is due costs the
// same however many of them there are.
//
// A queue that has something to do is scheduled, and run() gives it its turn; a queue whose moment comes is
// told by on_time(). Queues belong to their virtual hosts; a deleted one is retired here, and destroyed when
// the last of its unacknowledged messages is settled. Clock and store belong to the caller and outlive the
// turns.
#pragma once

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "broker/core/message/message_store.h"
#include "broker/core/message/turn_clock.h"

namespace havn::broker {

class Queue;

class QueueScheduler {
  public:
    QueueScheduler(const TurnClock& clock, MessageStore& store);
    QueueScheduler(const QueueScheduler&) = delete;
    QueueScheduler& operator=(const QueueScheduler&) = delete;
    ~QueueScheduler();

    void schedule(Queue& queue);
    void run();  // the turns of all scheduled queues, and of those these schedule

    // `never` takes a moment back. An earlier one is registered at once; a later one when the earlier has
    // come.
    void set_due(Queue& queue, Milliseconds due);
    Milliseconds next_due() const { return timers_.empty() ? never : timers_.begin()->first; }
    void on_time();  // tells the queues whose moment has come; run() follows

    void retire(std::unique_ptr<Queue> queue);  // it was deleted, and is not scheduled again

  private:
    void destroy_drained();

    const TurnClock& clock_;
    MessageStore& store_;
    std::vector<Queue*> scheduled_;
    std::set<std::pair<Milliseconds, Queue*>> timers_;
    std::vector<std::unique_ptr<Queue>> retired_;
};

}  // namespace havn::broker
