// What a client tells its owner: the events of a connection and of its channels.
//
// Events come from within Connection::receive() and Connection::sent() only. From within an event every
// command of the connection and of any of its channels may be given; receive(), sent(), reset() and the
// destruction of the connection may not, and a channel is not destroyed from within an event of its own.
// Views are good until the event returns.
//
// An owner implements what it uses: each event does nothing by default.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "wire/amqp/methods.h"

namespace havn::amqp::client {

class ConnectionHandler {
  public:
    virtual void on_connected() {}  // logged in, the vhost is open: channels may be opened

    // connection.blocked: the broker holds back what is published, as it is short of disk or memory;
    // publish() refuses from now on. `reason` is printable ASCII, for people.
    virtual void on_blocked(std::string_view reason) { static_cast<void>(reason); }
    virtual void on_unblocked() {}

  protected:
    ~ConnectionHandler() = default;
};

// The answer to a request, of which there is one for each, in their order.
struct Reply {
    MethodId method = 0;          // of the answer: QueueDeclareOk::id, BasicQosOk::id …
    std::uint32_t request = 0;    // what the request returned
    std::string_view name = {};   // of a declared queue; the consumer tag of consume and cancel
    std::uint32_t messages = 0;   // in a declared queue; purged from it, deleted with it
    std::uint32_t consumers = 0;  // of a declared queue
};

struct Delivery {
    std::string_view consumer_tag;
    std::uint64_t tag = 0;  // for acknowledge(), reject(), requeue(), on the same channel
    bool redelivered = false;
    std::string_view exchange, routing_key;
    std::uint64_t body_size = 0;
    std::string_view properties;  // as on the wire: parse_properties() checks and reads them
    std::string_view body;        // all of it
};

// A mandatory message that no queue took. Its body is not kept. With confirms its acknowledgement follows.
struct Returned {
    std::uint16_t reply_code = 0;  // 312: no route
    std::string_view exchange, routing_key;
    std::string_view properties;  // as on the wire
};

class ChannelHandler {
  public:
    virtual void on_open() {}

    // The broker closed the channel over something that was asked on it; the connection lives on, and open()
    // may be called again. What was not confirmed and not answered will not be: whether it took effect is not
    // known. Not called when the connection ends, which its owner knows first.
    virtual void on_closed(const Error& why) { static_cast<void>(why); }

    virtual void on_reply(const Reply& reply) { static_cast<void>(reply); }

    // basic.ack and basic.nack, once for each publish that was given `context`, in the order of their numbers
    // where the broker settles several at once. accepted: it is the broker's now, and durable if it was
    // persistent and routed to a durable queue.
    virtual void on_confirm(std::uint64_t context, bool accepted) {
        static_cast<void>(context), static_cast<void>(accepted);
    }
    virtual void on_returned(const Returned& returned) { static_cast<void>(returned); }

    // The body that was sent from where it lay has left; the message ends at `end` (see Published).
    virtual void on_body_sent(std::uint64_t context, std::uint64_t end) {
        static_cast<void>(context), static_cast<void>(end);
    }

    virtual void on_delivery(const Delivery& delivery) { static_cast<void>(delivery); }

    // A delivery whose body does not fit into the budget: it was skipped, and `body` is empty. It is owed an
    // answer like any other.
    virtual void on_oversized(const Delivery& delivery) { static_cast<void>(delivery); }

    // The broker ended a consumer, as its queue went away.
    virtual void on_cancelled(std::string_view consumer_tag) { static_cast<void>(consumer_tag); }

    virtual void on_flow(bool active) { static_cast<void>(active); }  // publish() refuses while it is not

  protected:
    ~ChannelHandler() = default;
};

}  // namespace havn::amqp::client
