#include "broker/core/channel/channel.h"

namespace havn::broker {

using namespace amqp;

Channel::Channel(const ChannelContext& context)
    : context_(context),
      reply_(context_),
      lookup_(context_),
      subscriptions_(context_, lookup_),
      publisher_(context_, subscriptions_.replies()),
      exchanges_(context_, reply_),
      queues_(context_, reply_, lookup_, subscriptions_) {}

template <class Part, class Method>
Outcome Channel::call(Part& part, Outcome (Part::*handler)(const Method&), std::string_view arguments) {
    const std::optional<Method> method = decode<Method>(arguments);
    if (!method) return refuse(ReplyCode::syntax_error, "malformed {}", Method::title);
    return (part.*handler)(*method);
}

Outcome Channel::on_method(MethodId id, std::string_view arguments) {
    if (!publisher_.assembler().expects_method()) {
        return refuse(ReplyCode::unexpected_frame,
                      "expected content {} for class 60, got method frame {} instead",
                      publisher_.assembler().expected_frame(), method_name(id));
    }
    current_ = id;
    switch (id) {  // the three that come by the hundred thousand
        case BasicPublish::id:
            return call(publisher_, &Publisher::on_publish, arguments);
        case BasicAck::id:
            return call(subscriptions_, &Subscriptions::on_ack, arguments);
        case BasicNack::id:
            return call(subscriptions_, &Subscriptions::on_nack, arguments);
        default:
            context_.broker.scheduler.run();  // what was published before is with its consumers first
            reply_.begin();
            return on_other_method(id, arguments);
    }
}

Outcome Channel::on_other_method(MethodId id, std::string_view arguments) {
    switch (id) {
        case BasicReject::id:
            return call(subscriptions_, &Subscriptions::on_reject, arguments);
        case BasicGet::id:
            return call(subscriptions_, &Subscriptions::on_get, arguments);
        case BasicConsume::id:
            return call(subscriptions_, &Subscriptions::on_consume, arguments);
        case BasicCancel::id:
            return call(subscriptions_, &Subscriptions::on_cancel, arguments);
        case BasicQos::id:
            return call(subscriptions_, &Subscriptions::on_qos, arguments);
        case BasicRecover::id:
            return call(subscriptions_, &Subscriptions::on_recover, arguments);
        case BasicRecoverAsync::id:
            return call(subscriptions_, &Subscriptions::on_recover_async, arguments);
        case QueueDeclare::id:
            return call(queues_, &QueueMethods::on_declare, arguments);
        case QueueBind::id:
            return call(queues_, &QueueMethods::on_bind, arguments);
        case QueueUnbind::id:
            return call(queues_, &QueueMethods::on_unbind, arguments);
        case QueuePurge::id:
            return call(queues_, &QueueMethods::on_purge, arguments);
        case QueueDelete::id:
            return call(queues_, &QueueMethods::on_delete, arguments);
        case ExchangeDeclare::id:
            return call(exchanges_, &ExchangeMethods::on_declare, arguments);
        case ExchangeDelete::id:
            return call(exchanges_, &ExchangeMethods::on_delete, arguments);
        case ExchangeBind::id:
            return call(exchanges_, &ExchangeMethods::on_bind, arguments);
        case ExchangeUnbind::id:
            return call(exchanges_, &ExchangeMethods::on_unbind, arguments);
        case ConfirmSelect::id:
            return call(publisher_, &Publisher::on_confirm_select, arguments);
        case ChannelFlow::id:
            return call(*this, &Channel::on_flow, arguments);
        case AccessRequest::id:
            return call(*this, &Channel::on_access, arguments);
        case BasicCancelOk::id:  // RabbitMQ's clients may answer a cancel notice
        case ChannelFlowOk::id:
            return {};
        case TxSelect::id:
        case TxCommit::id:
        case TxRollback::id:
            return on_tx(id);
        default:
            return refuse(ReplyCode::command_invalid, "{} is not expected from a client on a channel",
                          method_name(id));
    }
}

Outcome Channel::on_content(FrameType type, std::string_view payload) {
    switch (type) {
        case FrameType::header:
            current_ = BasicPublish::id;
            return publisher_.on_header(payload);
        case FrameType::body:
            current_ = BasicPublish::id;
            return publisher_.on_body(payload);
        default:
            return refuse(ReplyCode::frame_error, "a frame of unknown type {}", static_cast<unsigned>(type));
    }
}

Outcome Channel::on_flow(const ChannelFlow& method) {
    if (!method.active) return refuse(ReplyCode::not_implemented, "active=false");
    context_.send(ChannelFlowOk{true});
    return {};
}

Outcome Channel::on_access(const AccessRequest&) {
    context_.send(AccessRequestOk{1});
    return {};
}

Outcome Channel::on_tx(MethodId id) const {
    if (id != TxSelect::id) return refuse(ReplyCode::precondition_failed, "channel is not transactional");
    if (publisher_.confirms().on()) {
        return refuse(ReplyCode::precondition_failed, "cannot switch from confirm to tx mode");
    }
    return refuse(ReplyCode::not_implemented, "tx.select: use publisher confirms");
}

void Channel::close(Return how) {
    if (closing_) return;
    closing_ = true;
    subscriptions_.close(how);
    publisher_.close();
}

}  // namespace havn::broker
