// Where the broker writes down what must survive: the seam between the pure core and the log on disk.
//
// Calls only buffer, in order. The shell flushes once per loop turn; a later durable position tells that all
// before it is on disk. Topology (durable exchanges, queues, bindings) is a map of opaque keys and values to
// the journal: the core encodes them, and gets the whole map back at start.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "broker/core/message/delivery_id.h"
#include "broker/core/message/message.h"
#include "broker/core/message/turn_clock.h"

namespace havn::broker {

class Journal {
  public:
    virtual ~Journal() = default;

    // A persistent message that was routed to `queues` (at least one) at that time. Delivery i of the
    // message, the one in queues[i], gets ordinal first.ordinal + i. `offset` finds the record again for
    // read(). The journal may move a record later on: id and offset stay valid all the same.
    struct Placement {
        DeliveryId first;
        std::uint32_t offset = 0;  // within the segment, bytes
    };
    virtual Placement append(const Message& message, std::span<const QueueId> queues,
                             WallMilliseconds published) = 0;

    // That delivery is over: acknowledged, expired, purged, dead-lettered, or its queue deleted. `body_bytes`
    // is the size of its message's body.
    virtual void settle(DeliveryId delivery, std::uint32_t body_bytes) = 0;

    // So many attempts to deliver it have failed by now. Best effort: nobody waits for the disk on its
    // account, and what a crash forgets is one attempt more.
    virtual void note_attempts(DeliveryId delivery, std::uint32_t attempts) = 0;

    virtual void put(std::string_view key, std::string_view value) = 0;  // topology: add or replace
    virtual void erase(std::string_view key) = 0;

    // Everything handed over so far ends here; compare with the shell's durable position.
    virtual LogPosition position() const = 0;

    // A message whose content was dropped from memory. Error::corrupt: the record no longer checks out and
    // never will; the caller settles the delivery and serves nothing. Every other error (no descriptor, no
    // memory, the disk does not answer) says nothing about the message: it is still owed, and the caller
    // asks again later. The journal reports both.
    virtual Result<MessagePtr> read(DeliveryId delivery, std::uint32_t offset) = 0;
};

// What the journal knows of a delivery beside its message.
struct History {
    WallMilliseconds published = 0;  // 0: not known
    std::uint32_t attempts = 0;      // failed ones
};

// What recovery tells, in this order: every topology pair, then every unsettled delivery, in the order in
// which they were published.
class RecoverySink {
  public:
    virtual ~RecoverySink() = default;
    virtual void on_topology(std::string_view key, std::string_view value) = 0;
    virtual void on_topology_complete() = 0;
    // A queue the topology no longer knows: return false, and the log settles the delivery.
    virtual bool on_delivery(QueueId queue, DeliveryId delivery, std::uint32_t offset,
                             const Message::Parts& message, const History& history) = 0;
};

}  // namespace havn::broker
