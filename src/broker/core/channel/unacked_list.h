// Deliveries of a channel that wait for an acknowledgement, by delivery tag.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "broker/core/message/backlog.h"

namespace havn::broker {

class Queue;
class Subscription;

// A message that a channel was given and that is not settled. The channel owns the entry and gives it back to
// its queue, which stays until then even when it is deleted.
struct Unacked {
    std::uint64_t tag = 0;
    Queue* queue = nullptr;                // null: settled, only its place is left
    Subscription* subscription = nullptr;  // of the same channel; null: by basic.get, or cancelled meanwhile
    LanePlace place;
    Entry entry;
};

class UnackedList {
  public:
    bool empty() const { return live_ == 0; }
    std::size_t size() const { return live_; }

    void push(Unacked unacked);  // tags grow
    std::optional<Unacked> take(std::uint64_t tag);
    std::optional<Unacked> take_first(std::uint64_t tag_max);  // the eldest, if its tag is not above
    void forget(const Subscription& subscription);             // it is being cancelled

  private:
    void drop_settled();

    std::deque<Unacked> list_;
    std::size_t live_ = 0;
};

}  // namespace havn::broker
