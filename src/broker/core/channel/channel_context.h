// What the parts of a channel work with. The connection owns the parts of it that are its own and outlives
// its channels; the broker and the virtual host outlive the connection.
#pragma once

#include <cstdint>

#include "broker/core/protocol/connection_context.h"
#include "broker/core/protocol/handshake.h"
#include "broker/core/protocol/outbox.h"
#include "broker/core/protocol/publisher_gate.h"
#include "broker/core/queue/vhost.h"

namespace havn::broker {

// What a connection's channels hold together.
struct ConnectionHoldings {
    QueueOwner exclusive;                // queues that are this connection's alone
    std::uint64_t unfinished_bytes = 0;  // of contents that have not come whole yet
};

struct ChannelContext {
    ConnectionContext& broker;
    Vhost& vhost;
    const Terms& terms;
    Outbox& out;
    PublisherGate& gate;
    ConnectionHoldings& holdings;
    std::uint16_t number;  // of the channel

    template <class Method>
    void send(const Method& method) const {
        out.send(number, method);
    }
};

}  // namespace havn::broker
