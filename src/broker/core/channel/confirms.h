// Publisher confirms of a channel: sequence numbers, and which of them wait for the log.
//
// Confirms of one batch go out as one ack. A batch ends with the bytes that were read together, so that the
// log may be flushed between batches and an early one need not wait for a late one. Belongs to its channel.
#pragma once

#include <cstdint>
#include <deque>

#include "broker/core/message/delivery_id.h"

namespace havn::broker {

class Confirms {
  public:
    struct Acknowledged {
        std::uint64_t last = 0, count = 0;  // up to that sequence number, so many; 0: none
    };

    bool on() const { return on_; }
    void turn_on() { on_ = true; }

    void count_publish() { ++sequence_; }
    std::uint64_t sequence() const { return sequence_; }  // of the last publish
    void add(LogPosition position);  // the last publish; durable up to there: it may go; 0: it may go at once

    bool empty() const { return batches_.empty(); }
    LogPosition waits_for() const { return batches_.empty() ? 0 : batches_.back().position; }
    Acknowledged take(LogPosition durable);  // what may go now; ends the batch
    void clear() { batches_.clear(); }

  private:
    struct Batch {
        std::uint64_t last = 0, count = 0;
        LogPosition position = 0;
    };

    bool on_ = false;
    bool batch_open_ = false;  // the last batch may take further publishes
    std::uint64_t sequence_ = 0;
    std::deque<Batch> batches_;  // not sent yet
};

}  // namespace havn::broker
