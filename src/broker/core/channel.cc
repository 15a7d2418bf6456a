#include "broker/core/channel.h"

#include "broker/core/conversation.h"
#include "broker/core/vhost.h"

namespace havn::broker {

using namespace amqp;

Channel::Channel(Conversation& connection, std::uint16_t number)
    : connection_(connection), vhost_(connection.vhost()), number_(number) {}

Channel::~Channel() = default;

template <class Method>
Outcome Channel::call(Outcome (Channel::*handler)(const Method&), std::string_view arguments) {
    const std::optional<Method> method = decode<Method>(arguments);
    if (!method) return refuse(ReplyCode::syntax_error, "malformed {}", Method::title);
    return (this->*handler)(*method);
}

Outcome Channel::on_method(MethodId id, std::string_view arguments) {
    if (content_ != Content::none) {
        return refuse(ReplyCode::unexpected_frame,
                      "expected content {} for class 60, got method frame {} instead",
                      content_ == Content::header ? "header" : "body", method_name(id));
    }
    current_ = id;
    switch (id) {  // the three that come by the hundred thousand
        case BasicPublish::id:
            return call(&Channel::on_publish, arguments);
        case BasicAck::id:
            return call(&Channel::on_ack, arguments);
        case BasicNack::id:
            return call(&Channel::on_nack, arguments);
        default:
            break;
    }
    vhost_.run();  // what was published before is with its consumers before anything else is looked at
    position_before_ = vhost_.journal.position();
    switch (id) {
        case BasicReject::id:
            return call(&Channel::on_reject, arguments);
        case BasicGet::id:
            return call(&Channel::on_get, arguments);
        case BasicConsume::id:
            return call(&Channel::on_consume, arguments);
        case BasicCancel::id:
            return call(&Channel::on_cancel, arguments);
        case BasicQos::id:
            return call(&Channel::on_qos, arguments);
        case BasicRecover::id:
            return call(&Channel::on_recover, arguments);
        case BasicRecoverAsync::id:
            return call(&Channel::on_recover_async, arguments);
        case BasicCancelOk::id:
            return {};  // RabbitMQ's clients may answer a cancel notice
        case QueueDeclare::id:
            return call(&Channel::on_queue_declare, arguments);
        case QueueBind::id:
            return call(&Channel::on_queue_bind, arguments);
        case QueueUnbind::id:
            return call(&Channel::on_queue_unbind, arguments);
        case QueuePurge::id:
            return call(&Channel::on_queue_purge, arguments);
        case QueueDelete::id:
            return call(&Channel::on_queue_delete, arguments);
        case ExchangeDeclare::id:
            return call(&Channel::on_exchange_declare, arguments);
        case ExchangeDelete::id:
            return call(&Channel::on_exchange_delete, arguments);
        case ExchangeBind::id:
            return call(&Channel::on_exchange_bind, arguments);
        case ExchangeUnbind::id:
            return call(&Channel::on_exchange_unbind, arguments);
        case ConfirmSelect::id:
            return call(&Channel::on_confirm_select, arguments);
        case ChannelFlow::id:
            return call(&Channel::on_flow, arguments);
        case ChannelFlowOk::id:
            return {};
        case AccessRequest::id:
            return call(&Channel::on_access, arguments);
        case TxSelect::id:
        case TxCommit::id:
        case TxRollback::id:
            return on_tx(id);
        default:
            return refuse(ReplyCode::command_invalid, "{} is not expected from a client on a channel",
                          method_name(id));
    }
}

Outcome Channel::on_flow(const ChannelFlow& method) {
    if (!method.active) return refuse(ReplyCode::not_implemented, "active=false");
    connection_.send(number_, ChannelFlowOk{true});
    return {};
}

Outcome Channel::on_access(const AccessRequest&) {
    connection_.send(number_, AccessRequestOk{1});
    return {};
}

Outcome Channel::on_confirm_select(const ConfirmSelect& method) {
    confirming_ = true;
    if (!method.nowait) connection_.send(number_, ConfirmSelectOk{});
    return {};
}

Outcome Channel::on_tx(MethodId id) {
    if (id != TxSelect::id) return refuse(ReplyCode::precondition_failed, "channel is not transactional");
    if (confirming_) return refuse(ReplyCode::precondition_failed, "cannot switch from confirm to tx mode");
    return refuse(ReplyCode::not_implemented, "tx.select: use publisher confirms");
}

void Channel::close(Return how) {
    if (closing) return;
    closing = true;
    if (!reply_token_.empty()) vhost_.reply_channels.erase(reply_token_);
    return_all(how);
    while (!consumers_.empty()) remove_consumer(*consumers_.begin()->second);
    confirms_.clear();
    content_ = Content::none;
    drop_body();
}

void Channel::feed_consumers() {
    for (auto& [tag, consumer] : consumers_) consumer->queue->on_credit();
}

// Confirms of one batch go out as one ack. A batch ends with the bytes that were read together, so that the
// log may be flushed between batches and an early one need not wait for a late one.
void Channel::confirm(bool stored) {
    if (!batch_open_) {
        confirms_.emplace_back();
        batch_open_ = true;
        if (!listed_) connection_.confirm_later(*this);
        listed_ = true;
    }
    Confirm& batch = confirms_.back();
    batch.last = sequence_;
    ++batch.count;
    if (stored) batch.position = vhost_.journal.position();
}

void Channel::end_batch() {
    batch_open_ = false;
}

bool Channel::send_confirms(LogPosition durable) {
    batch_open_ = false;
    std::uint64_t last = 0, count = 0;
    while (!confirms_.empty() && confirms_.front().position <= durable) {
        last = confirms_.front().last;
        count += confirms_.front().count;
        confirms_.pop_front();
    }
    if (count > 0) {
        vhost_.counters.confirmed += count;
        connection_.send(number_, BasicAck{last, count > 1});
    }
    listed_ = !confirms_.empty();
    return listed_;
}

}  // namespace havn::broker
