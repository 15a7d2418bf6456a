// The methods of class queue: declaring, binding, purging and deleting queues. Belongs to its channel.
#pragma once

#include <string>

#include "broker/core/channel/channel_context.h"
#include "broker/core/channel/durable_reply.h"
#include "broker/core/channel/queue_lookup.h"
#include "broker/core/channel/subscriptions.h"

namespace havn::broker {

class QueueMethods {
  public:
    QueueMethods(const ChannelContext& context, DurableReply& reply, QueueLookup& lookup,
                 Subscriptions& subscriptions)
        : context_(context), reply_(reply), lookup_(lookup), subscriptions_(subscriptions) {}

    Outcome on_declare(const amqp::QueueDeclare& method);
    Outcome on_bind(const amqp::QueueBind& method);
    Outcome on_unbind(const amqp::QueueUnbind& method);
    Outcome on_purge(const amqp::QueuePurge& method);
    Outcome on_delete(const amqp::QueueDelete& method);

  private:
    Outcome on_declare_reply_address(const amqp::QueueDeclare& method);
    Outcome declare_again(const amqp::QueueDeclare& method, Queue& queue);
    Outcome declare_new(const amqp::QueueDeclare& method, std::string name);
    Outcome check_kind(const amqp::QueueDeclare& method, const QueueArguments& arguments,
                       std::string_view name) const;
    void declare_ok(bool nowait, const Queue& queue);

    const ChannelContext& context_;
    DurableReply& reply_;
    QueueLookup& lookup_;
    Subscriptions& subscriptions_;
};

}  // namespace havn::broker
