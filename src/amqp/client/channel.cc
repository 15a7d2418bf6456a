#include "amqp/client/channel.h"

#include <utility>

#include "amqp/client/connection.h"
#include "amqp/client/errors.h"
#include "base/assert.h"
#include "wire/amqp/properties.h"

namespace havn::amqp::client {

Channel::Channel(Connection& connection, ChannelHandler& handler)
    : connection_(connection),
      handler_(handler),
      content_(connection.contents_, connection.options_.message_bytes_max) {}

Channel::~Channel() {
    HAVN_ASSERT(connection_.body_channel_ != this, "a channel outlives the body it sends");
    if (state_ != State::closed) leave();
}

template <class Method>
void Channel::send(const Method& method) {
    append_method(connection_.output_.frames(), number_, method);
}

bool Channel::open() {
    if (state_ != State::closed) return false;
    number_ = connection_.add(*this);
    if (number_ == 0) return false;
    state_ = State::opening;
    await(ChannelOpenOk::id);
    send(ChannelOpen{});
    return true;
}

bool Channel::close() {
    if (state_ == State::closed || connection_.body_channel_ == this) return false;
    leave();
    return true;
}

void Channel::leave() {
    ChannelClose close;
    close.reply_code = static_cast<Short>(ReplyCode::success);
    send(close);
    connection_.remove(number_, true);
    become_closed();
}

void Channel::become_closed() {
    state_ = State::closed;
    number_ = 0;
    confirming_ = false;
    flow_active_ = true;
    confirms_.restart();
    if (content_.expected()) content_.clear();  // one that is complete is with the handler just now
    requests_.clear();
    body_number_ = 0;
}

bool Channel::may_publish() const {
    return state_ == State::open && flow_active_ && connection_.takes_publishes() && !unconfirmed_is_full();
}

bool Channel::unconfirmed_is_full() const {
    return confirms_.span() >= connection_.options_.unconfirmed_max;
}

bool Channel::fits(std::size_t properties_bytes) const {
    return properties_bytes + content_header_fixed + frame_overhead <= connection_.frame_max_;
}

std::optional<Published> Channel::publish(const Message& message, Confirms::Context context) {
    if (!may_publish() || !fits(message.properties.size())) return std::nullopt;
    BasicPublish method;
    method.exchange = message.exchange;
    method.routing_key = message.routing_key;
    method.mandatory = message.mandatory;
    const std::size_t method_bytes = method_frame_size(method);
    const std::size_t header_bytes = content_size(message.properties.size(), 0, connection_.frame_max_);
    char* to = begin_publish(method_bytes + header_bytes, message.body);
    to = store_method_frame(to, number_, method, method_bytes);
    to = store_content_header(to, number_, message.properties, message.body.size());
    return end_publish(to, message.body, context);
}

std::optional<Published> Channel::publish(const Envelope& envelope, std::string_view body,
                                          Confirms::Context context) {
    if (!may_publish() || !fits(envelope.properties_bytes())) return std::nullopt;
    char* const to = begin_publish(envelope.bytes(), body);
    return end_publish(envelope.store(to, number_, body.size()), body, context);
}

// Room for what stands before the body, and for a body that is copied.
char* Channel::begin_publish(std::size_t head_bytes, std::string_view body) {
    const bool copied = body.size() <= copied_body_max;
    const std::size_t body_bytes = copied ? body_frames_size(body.size(), connection_.frame_max_) : 0;
    return extend(connection_.output_.message(), head_bytes + body_bytes);
}

Published Channel::end_publish(char* to, std::string_view body, Confirms::Context context) {
    Output& output = connection_.output_;
    const std::uint64_t number = confirming_ ? confirms_.push(context) : 0;
    if (body.size() <= copied_body_max) {
        store_body(to, number_, body, connection_.frame_max_);
        return {number, output.end()};
    }
    output.send_body(number_, body, connection_.frame_max_);
    connection_.body_channel_ = this;
    body_context_ = context;
    body_number_ = number;
    return {number, unknown_end};
}

void Channel::on_body_left(std::uint64_t end) {
    body_number_ = 0;
    handler_.on_body_sent(body_context_, end);
}

std::uint32_t Channel::await(MethodId answer) {
    if (++last_request_ == 0) ++last_request_;
    requests_.push_back({answer, last_request_, connection_.now_});
    connection_.note_request();
    return last_request_;
}

template <Request Method>
std::uint32_t Channel::request(Method method) {
    if (state_ != State::open || requests_.size() >= requests_max) return 0;
    if constexpr (requires { method.nowait; }) method.nowait = false;
    send(method);
    if constexpr (Method::id == ConfirmSelect::id) confirming_ = true;
    return await(answer_to<Method>);
}

template std::uint32_t Channel::request(ConfirmSelect);
template std::uint32_t Channel::request(BasicQos);
template std::uint32_t Channel::request(BasicConsume);
template std::uint32_t Channel::request(BasicCancel);
template std::uint32_t Channel::request(QueueDeclare);
template std::uint32_t Channel::request(QueueBind);
template std::uint32_t Channel::request(QueueUnbind);
template std::uint32_t Channel::request(QueuePurge);
template std::uint32_t Channel::request(QueueDelete);
template std::uint32_t Channel::request(ExchangeDeclare);
template std::uint32_t Channel::request(ExchangeDelete);
template std::uint32_t Channel::request(ExchangeBind);
template std::uint32_t Channel::request(ExchangeUnbind);

std::optional<Time> Channel::oldest_request() const {
    if (requests_.empty()) return std::nullopt;
    return requests_.front().since;
}

void Channel::acknowledge(std::uint64_t tag, bool multiple) {
    if (state_ == State::open) send(BasicAck{tag, multiple});
}

void Channel::reject(std::uint64_t tag, bool multiple) {
    negative(tag, multiple, false);
}

void Channel::requeue(std::uint64_t tag, bool multiple) {
    negative(tag, multiple, true);
}

// basic.reject where it can say the same: every broker has it.
void Channel::negative(std::uint64_t tag, bool multiple, bool requeue) {
    if (state_ != State::open) return;
    if (multiple) {
        send(BasicNack{tag, multiple, requeue});
    } else {
        send(BasicReject{tag, requeue});
    }
}

Result<> Channel::on_method(MethodId id, std::string_view arguments) {
    if (id == ChannelClose::id) return on_close(arguments);
    if (content_.expected()) return unexpected_bytes("a method within a message");
    if (state_ == State::opening && id != ChannelOpenOk::id) return unexpected_bytes(method_name(id));
    switch (id) {
        case BasicAck::id: {
            const std::optional<BasicAck> ack = decode<BasicAck>(arguments);
            if (!ack || !confirming_) return unexpected_bytes("Basic.Ack");
            settle(ack->delivery_tag, ack->multiple, true);
            return {};
        }
        case BasicNack::id: {
            const std::optional<BasicNack> nack = decode<BasicNack>(arguments);
            if (!nack || !confirming_) return unexpected_bytes("Basic.Nack");
            settle(nack->delivery_tag, nack->multiple, false);
            return {};
        }
        case BasicDeliver::id: {
            const std::optional<BasicDeliver> deliver = decode<BasicDeliver>(arguments);
            if (!deliver) return unexpected_bytes("Basic.Deliver");
            content_.begin(*deliver);
            return {};
        }
        case BasicReturn::id: {
            const std::optional<BasicReturn> returned = decode<BasicReturn>(arguments);
            if (!returned) return unexpected_bytes("Basic.Return");
            content_.begin(*returned);
            return {};
        }
        case BasicCancel::id:
            return on_broker_cancel(arguments);
        case ChannelFlow::id:
            return on_flow(arguments);
        default:
            return on_answer(id, arguments);
    }
}

// A handler may publish from within: the newcomers have higher numbers and are none of those settled here.
void Channel::settle(std::uint64_t number, bool multiple, bool accepted) {
    const std::uint64_t end = confirms_.end();
    const std::uint64_t last = multiple && number == 0 ? end : number < end ? number + 1 : end;
    for (std::uint64_t at = multiple ? confirms_.first() : number; at < last; ++at) {
        if (at == body_number_) continue;  // not sent whole: no broker confirms it
        const std::optional<Confirms::Context> context = confirms_.take(at);
        if (context) handler_.on_confirm(*context, accepted);
    }
}

Result<> Channel::on_close(std::string_view arguments) {
    if (connection_.body_channel_ == this) connection_.output_.cut_body();
    send(ChannelCloseOk{});
    connection_.remove(number_, false);
    become_closed();
    handler_.on_closed(closed_by_broker(arguments));
    return {};
}

Result<> Channel::on_flow(std::string_view arguments) {
    const std::optional<ChannelFlow> flow = decode<ChannelFlow>(arguments);
    if (!flow) return unexpected_bytes("Channel.Flow");
    flow_active_ = flow->active;
    send(ChannelFlowOk{flow->active});
    handler_.on_flow(flow->active);
    return {};
}

Result<> Channel::on_broker_cancel(std::string_view arguments) {
    const std::optional<BasicCancel> cancel = decode<BasicCancel>(arguments);
    if (!cancel) return unexpected_bytes("Basic.Cancel");
    if (!cancel->nowait) send(BasicCancelOk{cancel->consumer_tag});
    handler_.on_cancelled(cancel->consumer_tag);
    return {};
}

Result<> Channel::on_answer(MethodId id, std::string_view arguments) {
    if (requests_.empty() || requests_.front().answer != id) return unexpected_bytes(method_name(id));
    Reply reply{id, requests_.front().number};
    bool right = true;
    const auto read = [&]<class Method>(std::optional<Method>&& method, auto use) {
        right = method.has_value();
        if (method) use(*method);
    };
    switch (id) {
        case QueueDeclareOk::id:
            read(decode<QueueDeclareOk>(arguments), [&](const QueueDeclareOk& ok) {
                reply.name = ok.queue;
                reply.messages = ok.message_count;
                reply.consumers = ok.consumer_count;
            });
            break;
        case QueuePurgeOk::id:
            read(decode<QueuePurgeOk>(arguments), [&](const auto& ok) { reply.messages = ok.message_count; });
            break;
        case QueueDeleteOk::id:
            read(decode<QueueDeleteOk>(arguments),
                 [&](const auto& ok) { reply.messages = ok.message_count; });
            break;
        case BasicConsumeOk::id:
            read(decode<BasicConsumeOk>(arguments), [&](const auto& ok) { reply.name = ok.consumer_tag; });
            break;
        case BasicCancelOk::id:
            read(decode<BasicCancelOk>(arguments), [&](const auto& ok) { reply.name = ok.consumer_tag; });
            break;
        default:
            break;  // it has no arguments that tell anything
    }
    if (!right) return unexpected_bytes(method_name(id));
    requests_.pop_front();
    if (id == ChannelOpenOk::id) {
        state_ = State::open;
        handler_.on_open();
    } else {
        handler_.on_reply(reply);
    }
    return {};
}

Result<> Channel::on_header(std::string_view payload) {
    return on_content(content_.take_header(payload));
}

Result<> Channel::on_body(std::string_view payload) {
    return on_content(content_.take_body(payload));
}

Result<> Channel::on_content(Content::Step step) {
    if (step == Content::Step::bad) return unexpected_bytes("content that was not announced so");
    if (step == Content::Step::more) return {};
    if (!content_.is_delivery()) {
        handler_.on_returned(content_.returned());
    } else if (content_.oversized()) {
        handler_.on_oversized(content_.delivery());
    } else {
        handler_.on_delivery(content_.delivery());
    }
    content_.clear();
    return {};
}

}  // namespace havn::amqp::client
