// A message's place in one queue: 32 bytes, beside the content while that is held in memory.
//
// An entry is owned by whoever is to bring it to its end, and moves with that duty: the queue's backlog, the
// queue's list of those that wait for the end of a back-off, or the channel that waits for its
// acknowledgement. Its end is MessageStore::settle(), exactly once. It shares the message; the log has it if
// id.stored().
#pragma once

#include <cstdint>

#include "broker/core/message/delivery_id.h"
#include "broker/core/message/message.h"
#include "broker/core/message/turn_clock.h"

namespace havn::broker {

struct Entry {
    static constexpr std::uint32_t failures_max = 4095;

    DeliveryId id;
    std::uint32_t offset = 0;  // of its record in the log, when it has one
    std::uint32_t size = 0;    // bytes of the body
    MessagePtr message;        // empty: the content is read back from the log
    Milliseconds expires : 43 = never;
    std::uint64_t failures : 12 = 0;  // attempts that ended without an acknowledgement
    std::uint64_t priority : 8 = 0;   // its lane
    std::uint64_t redelivered : 1 = 0;
};
static_assert(sizeof(Entry) <= 32);

}  // namespace havn::broker
