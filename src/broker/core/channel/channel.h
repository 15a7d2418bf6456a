// A channel: takes its frames apart and hands each method to the part that carries it out.
//
// Belongs to its connection, and owns its parts. What has been closed stays until the client's close-ok, and
// does nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "broker/core/channel/channel_context.h"
#include "broker/core/channel/durable_reply.h"
#include "broker/core/channel/exchange_methods.h"
#include "broker/core/channel/publisher.h"
#include "broker/core/channel/queue_lookup.h"
#include "broker/core/channel/queue_methods.h"
#include "broker/core/channel/subscriptions.h"

namespace havn::broker {

class Channel {
  public:
    explicit Channel(const ChannelContext& context);
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    std::uint16_t number() const { return context_.number; }

    // Frames. Views end with the input: detach_from_input() copies what a begun publish refers to.
    Outcome on_method(amqp::MethodId id, std::string_view arguments);
    Outcome on_content(amqp::FrameType type, std::string_view payload);
    amqp::MethodId current_method() const { return current_; }  // what a fault is blamed on
    void detach_from_input() { publisher_.assembler().detach_from_input(); }

    // Gives everything back and stops; what stays is to wait for the client's close-ok.
    void close(Return how);
    bool closing() const { return closing_; }

    // Confirms that wait. The connection lists the channels that have some: `listed` is for it to keep.
    bool has_confirms() const { return !publisher_.confirms().empty(); }
    LogPosition waits_for() const { return publisher_.confirms().waits_for(); }
    void send_confirms(LogPosition durable) { publisher_.send_confirms(durable); }
    bool listed = false;

    void on_room() { subscriptions_.on_room(); }  // there is room for deliveries again

  private:
    template <class Part, class Method>
    Outcome call(Part& part, Outcome (Part::*handler)(const Method&), std::string_view arguments);
    Outcome on_other_method(amqp::MethodId id, std::string_view arguments);
    Outcome on_flow(const amqp::ChannelFlow& method);
    Outcome on_access(const amqp::AccessRequest& method);
    Outcome on_tx(amqp::MethodId id) const;

    ChannelContext context_;
    amqp::MethodId current_ = 0;
    bool closing_ = false;
    DurableReply reply_;
    QueueLookup lookup_;
    Subscriptions subscriptions_;
    Publisher publisher_;
    ExchangeMethods exchanges_;
    QueueMethods queues_;
};

}  // namespace havn::broker
