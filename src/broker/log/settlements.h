// Deliveries that are over, and attempts that failed, on their way into the log.
//
// They are noted one by one and written in runs, behind everything that was appended before they were noted:
// a message that moved to another queue is never over in the old one without being in the new one.
#pragma once

#include <cstdint>
#include <vector>

#include "broker/core/message/delivery_id.h"
#include "broker/log/record.h"
#include "broker/log/segment.h"
#include "broker/log/tail.h"

namespace havn::broker {

class Settlements {
  public:
    // Both outlive this.
    Settlements(SegmentList& segments, LogTail& tail) : segments_(segments), tail_(tail) {}

    // `delivery` was settled in its segment just now.
    void note_settled(DeliveryId delivery) { settled_.push_back(delivery); }

    // Nothing is noted of a delivery that is not owed any more.
    void note_attempts(DeliveryId delivery, std::uint32_t attempts);

    // Writes what was noted.
    void emit();

    // The settles and attempts that stand in `leaving` and are still needed: written again, as one set for
    // each segment. Those of a segment that is gone, or leaves as well, go with it.
    void carry(const Segment& leaving);
    std::uint64_t bytes_to_carry(const Segment& leaving) const;

  private:
    void emit_settled();
    void emit_attempts();
    bool outlives(const Segment& leaving, std::uint32_t number) const;

    SegmentList& segments_;
    LogTail& tail_;
    std::vector<DeliveryId> settled_, attempted_;
    // What emit() works with, kept for its memory.
    std::vector<Run> runs_;
    std::vector<AttemptsOf> attempts_;
};

}  // namespace havn::broker
