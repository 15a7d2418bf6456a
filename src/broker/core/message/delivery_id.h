// What names a message's place in the log, and a position in it.
//
// Plain values. They are given by the log (DeliveryId, LogPosition) and by the broker (QueueId).
#pragma once

#include <compare>
#include <cstdint>

namespace havn::broker {

// A durable queue's name in the log: given once in a broker's life, whatever the virtual host, and never used
// again.
enum class QueueId : std::uint32_t {};

// One (message, queue) pair in the log: its segment, and the ordinal of the delivery within that segment.
// Ordered as published. The default value means "not in the log": transient, or in a queue that is not
// durable.
struct DeliveryId {
    std::uint32_t segment = 0;  // from 1
    std::uint32_t ordinal = 0;

    bool stored() const { return segment != 0; }
    auto operator<=>(const DeliveryId&) const = default;
};

// How far the log has been written, in bytes since the process began. A confirm waits for the log's durable
// position to reach the value `Journal::position()` had after the append.
using LogPosition = std::uint64_t;

}  // namespace havn::broker
