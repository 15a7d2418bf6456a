#include "broker/core/queue/queue_scheduler.h"

#include "broker/core/queue/queue.h"

namespace havn::broker {

QueueScheduler::QueueScheduler(const TurnClock& clock, MessageStore& store) : clock_(clock), store_(store) {}
QueueScheduler::~QueueScheduler() = default;

void QueueScheduler::schedule(Queue& queue) {
    if (queue.turn.scheduled || queue.turn.suspended || queue.deleted) return;
    queue.turn.scheduled = true;
    scheduled_.push_back(&queue);
}

void QueueScheduler::run() {
    // A turn may schedule others (dead letters), which then follow in the same run.
    for (std::size_t at = 0; at < scheduled_.size(); ++at) {
        Queue& queue = *scheduled_[at];
        queue.turn.scheduled = false;
        if (!queue.deleted && !queue.turn.suspended) queue.run();
    }
    scheduled_.clear();
    store_.release_fetched();
    if (!retired_.empty()) destroy_drained();
}

void QueueScheduler::destroy_drained() {
    std::erase_if(retired_, [](const std::unique_ptr<Queue>& queue) { return queue->unacked_count() == 0; });
}

void QueueScheduler::set_due(Queue& queue, Milliseconds due) {
    if (due == queue.turn.due) return;
    // Later than registered: on_time() will look again. Only an earlier moment must be registered at once.
    if (due > queue.turn.due && due != never) return;
    if (queue.turn.due != never) timers_.erase({queue.turn.due, &queue});
    queue.turn.due = due;
    if (due != never) timers_.emplace(due, &queue);
}

void QueueScheduler::on_time() {
    while (!timers_.empty() && timers_.begin()->first <= clock_.now()) {
        Queue& queue = *timers_.begin()->second;
        timers_.erase(timers_.begin());
        queue.turn.due = never;
        queue.on_due();
    }
}

void QueueScheduler::retire(std::unique_ptr<Queue> queue) {
    set_due(*queue, never);
    retired_.push_back(std::move(queue));
}

}  // namespace havn::broker
