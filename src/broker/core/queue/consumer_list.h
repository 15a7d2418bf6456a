// The consumers of a queue, and whose turn it is: round robin among those of the highest priority with
// credit, or the one active consumer of a queue that has only one at a time.
//
// Consumers belong to their channels; the list knows those that were added and not removed.
#pragma once

#include <vector>

#include "broker/core/queue/consumer.h"

namespace havn::broker {

class ConsumerList {
  public:
    explicit ConsumerList(bool single_active) : single_active_(single_active) {}

    void add(Consumer& consumer);
    void remove(Consumer& consumer);
    Consumer* next();  // whose turn it is; null: nobody has credit

    bool empty() const { return consumers_.empty(); }
    std::size_t size() const { return consumers_.size(); }
    bool had_any() const { return had_any_; }  // now or earlier
    bool has_exclusive() const { return size() == 1 && consumers_.front()->settings().exclusive; }
    const std::vector<Consumer*>& all() const { return consumers_; }

  private:
    std::vector<Consumer*> consumers_;  // highest priority first; within one, the next to serve first
    Consumer* active_ = nullptr;        // one of them: the first to come, until it goes
    bool single_active_;
    bool had_any_ = false;
};

}  // namespace havn::broker
