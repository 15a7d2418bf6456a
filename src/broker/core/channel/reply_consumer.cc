#include "broker/core/channel/reply_consumer.h"

#include <utility>

namespace havn::broker {

using namespace amqp;

namespace {

constexpr std::string_view address_prefix = "amq.rabbitmq.reply-to.";

}  // namespace

Outcome ReplyConsumer::start(std::string tag, const BasicConsume& method) {
    if (!method.no_ack) {
        return refuse(ReplyCode::precondition_failed, "reply consumer cannot acknowledge");
    }
    if (registered_) return refuse(ReplyCode::precondition_failed, "reply consumer already set");
    tag_ = std::move(tag);
    if (token_.empty()) token_ = context_.broker.names.next("");
    context_.broker.reply_consumers[token_] = this;
    registered_ = true;
    if (!method.nowait) context_.send(BasicConsumeOk{std::string_view(tag_)});
    return {};
}

void ReplyConsumer::cancel() {
    if (std::exchange(registered_, false)) context_.broker.reply_consumers.erase(token_);
}

ReplyConsumer* ReplyConsumer::find(std::string_view token) const {
    const auto found = context_.broker.reply_consumers.find(token);
    if (found == context_.broker.reply_consumers.end()) return nullptr;
    return &found->second->context_.vhost == &context_.vhost ? found->second : nullptr;
}

bool ReplyConsumer::is_somebody_at(std::string_view address) const {
    if (address == reply_to_name) return true;
    return address.starts_with(address_prefix) && find(address.substr(address_prefix.size())) != nullptr;
}

Outcome ReplyConsumer::put_address(ContentAssembler::Content& content) {
    if (!content.properties.has(Properties::has_reply_to) || content.properties.reply_to != reply_to_name) {
        return {};
    }
    if (!registered_) return refuse(ReplyCode::precondition_failed, "fast reply consumer does not exist");
    const std::string address = std::string(address_prefix) + token_;
    content.properties.reply_to = std::string_view(address);
    rewritten_.clear();
    append_properties(rewritten_, content.properties);
    content.raw_properties = rewritten_;
    content.properties = *parse_properties(content.raw_properties);
    return {};
}

bool ReplyConsumer::forward(const ContentAssembler::Content& content) const {
    if (!content.exchange.empty() || !content.routing_key.starts_with(address_prefix)) return false;
    ReplyConsumer* receiver = find(content.routing_key.substr(address_prefix.size()));
    return receiver && receiver->deliver({"", content.routing_key, content.raw_properties, content.body});
}

bool ReplyConsumer::deliver(const Message::Parts& reply) {
    if (context_.out.unread() >= Outbox::choked_bytes) return false;
    const BasicDeliver method{std::string_view(tag_), ++tags_, false, reply.exchange, reply.routing_key};
    context_.out.send_content(context_.number, method, MessagePtr::make(reply));
    ++context_.broker.counters.delivered;
    return true;
}

}  // namespace havn::broker
