// The methods of class exchange: declaring, deleting and binding exchanges. Belongs to its channel.
#pragma once

#include "broker/core/channel/channel_context.h"
#include "broker/core/channel/durable_reply.h"

namespace havn::broker {

class ExchangeMethods {
  public:
    ExchangeMethods(const ChannelContext& context, DurableReply& reply) : context_(context), reply_(reply) {}

    Outcome on_declare(const amqp::ExchangeDeclare& method);
    Outcome on_delete(const amqp::ExchangeDelete& method);
    Outcome on_bind(const amqp::ExchangeBind& method);
    Outcome on_unbind(const amqp::ExchangeUnbind& method);

  private:
    Outcome declare_new(const amqp::ExchangeDeclare& method, const std::string& name);
    Outcome check_equivalent(const amqp::ExchangeDeclare& method, const Exchange& exchange) const;

    const ChannelContext& context_;
    DurableReply& reply_;
};

}  // namespace havn::broker
