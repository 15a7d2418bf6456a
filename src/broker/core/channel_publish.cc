// Channel: basic.publish, from the method to the queues.
#include <algorithm>

#include "broker/core/channel.h"
#include "broker/core/conversation.h"
#include "broker/core/vhost.h"
#include "wire/amqp/table.h"

namespace havn::broker {

using namespace amqp;

namespace {

constexpr std::string_view reply_to_prefix = "amq.rabbitmq.reply-to.";

}  // namespace

Outcome Channel::on_publish(const BasicPublish& method) {
    if (method.immediate) return refuse(ReplyCode::not_implemented, "immediate=true");
    connection_.on_publish();
    publish_ = method;
    anchored_ = false;
    content_ = Content::header;
    return {};
}

Outcome Channel::on_header(std::string_view payload) {
    current_ = BasicPublish::id;
    if (content_ != Content::header) {
        return refuse(ReplyCode::unexpected_frame, "expected {}, got a content header instead",
                      content_ == Content::body ? "content body" : "a method");
    }
    const auto header = parse_content_header(payload);
    if (!header) return refuse(ReplyCode::frame_error, "a content header of {} bytes", payload.size());
    if (header->class_id != basic_class) {
        return refuse(ReplyCode::unexpected_frame,
                      "expected content header for class 60, got one for class {} instead", header->class_id);
    }
    const auto properties = parse_properties(header->properties);
    if (!properties) return refuse(ReplyCode::syntax_error, "malformed content properties");
    if (header->body_size > vhost_.config.message_bytes_max) {
        return refuse(ReplyCode::precondition_failed, "message size {} is larger than configured max size {}",
                      header->body_size, vhost_.config.message_bytes_max);
    }
    raw_properties_ = header->properties;
    properties_ = *properties;
    body_size_ = header->body_size;
    if (body_size_ == 0) return complete_publish({});
    content_ = Content::body;
    anchored_ = false;
    return {};
}

Outcome Channel::on_body(std::string_view payload) {
    current_ = BasicPublish::id;
    if (content_ != Content::body) {
        return refuse(ReplyCode::unexpected_frame, "expected {}, got a content body instead",
                      content_ == Content::header ? "content header" : "a method");
    }
    if (payload.size() + body_.size() > body_size_) {
        return refuse(ReplyCode::frame_error, "the body is longer than the {} bytes its header announced",
                      body_size_);
    }
    if (body_.empty() && payload.size() == body_size_) return complete_publish(payload);
    if (body_.empty()) body_.reserve(std::min<std::uint64_t>(body_size_, 1u << 20));
    body_.append(payload);
    note_partial();
    if (body_.size() < body_size_) return {};
    const Outcome outcome = complete_publish(body_);
    drop_body();
    return outcome;
}

void Channel::note_partial() {
    const std::size_t now = body_.empty() ? 0 : body_.capacity();
    connection_.partial_bytes += now - partial_bytes_;
    partial_bytes_ = now;
}

void Channel::drop_body() {
    std::string().swap(body_);  // assigning an empty string would keep the memory
    note_partial();
}

void Channel::anchor() {
    if (content_ == Content::none || anchored_) return;
    if (publish_.exchange.data() != anchored_exchange_.data()) {
        anchored_exchange_ = publish_.exchange;
        publish_.exchange = std::string_view(anchored_exchange_);
    }
    if (publish_.routing_key.data() != anchored_key_.data()) {
        anchored_key_ = publish_.routing_key;
        publish_.routing_key = std::string_view(anchored_key_);
    }
    if (content_ == Content::body) {
        anchored_properties_ = raw_properties_;
        raw_properties_ = anchored_properties_;
        properties_ = *parse_properties(raw_properties_);
    }
    anchored_ = true;
}

Outcome Channel::check_properties() {
    if (properties_.has(Properties::has_user_id) && properties_.user_id != connection_.user()) {
        return refuse(ReplyCode::precondition_failed,
                      "user_id property set to '{}' but authenticated user was '{}'",
                      std::string_view(properties_.user_id), connection_.user());
    }
    if (properties_.has(Properties::has_expiration) && !parse_expiration(properties_.expiration)) {
        return refuse(ReplyCode::precondition_failed, "invalid expiration '{}': not a number of milliseconds",
                      std::string_view(properties_.expiration));
    }
    return {};
}

Outcome Channel::complete_publish(std::string_view body) {
    content_ = Content::none;
    constexpr auto unusual = Properties::has_user_id | Properties::has_expiration | Properties::has_reply_to;
    if (properties_.flags & unusual) {
        if (auto ok = check_properties(); !ok) return ok;
        if (auto ok = publish_reply_address(); !ok) return ok;
    }
    const Route& route = vhost_.router.find(publish_.exchange, publish_.routing_key, properties_.headers);
    if (!route.exchange) {
        return refuse(ReplyCode::not_found, "no exchange '{}' in vhost '/'",
                      std::string_view(publish_.exchange));
    }
    if (route.exchange->spec().internal) {
        return refuse(ReplyCode::access_refused, "cannot publish to internal exchange '{}' in vhost '/'",
                      std::string_view(publish_.exchange));
    }
    ++vhost_.counters.published;
    if (confirming_) ++sequence_;
    targets_.assign(route.queues.begin(), route.queues.end());
    if (targets_.empty() && !publish_direct_reply(body)) {
        ++vhost_.counters.unroutable;
        if (publish_.mandatory) return_message(body);
    }
    const bool refused = drop_full_queues();
    bool stored = false;
    if (!targets_.empty()) {
        Publication publication{{publish_.exchange, publish_.routing_key, raw_properties_, body},
                                properties_.persistent(),
                                properties_.priority,
                                {}};
        if (properties_.has(Properties::has_expiration)) {
            publication.expiration = parse_expiration(properties_.expiration);
        }
        stored = vhost_.enqueue(publication, targets_);
    }
    if (!confirming_) return {};
    refused ? nack() : confirm(stored);
    return {};
}

// Whether one of them was at its limit and told to refuse.
bool Channel::drop_full_queues() {
    const bool promised = confirming_ && properties_.persistent();
    return std::erase_if(targets_, [&](Queue* queue) { return !queue->accepts_another(promised); }) > 0;
}

void Channel::nack() {
    connection_.send(number_, BasicNack{sequence_, false, false});
}

void Channel::return_message(std::string_view body) {
    const BasicReturn method{static_cast<Short>(ReplyCode::no_route), "NO_ROUTE", publish_.exchange,
                             publish_.routing_key};
    connection_.send_content(
        number_, method, MessagePtr::make({publish_.exchange, publish_.routing_key, raw_properties_, body}));
}

// Direct reply-to: a request carries the well-known name, the receiver gets the address of this channel
// instead.
Outcome Channel::publish_reply_address() {
    if (!properties_.has(Properties::has_reply_to) || properties_.reply_to != reply_to_name) return {};
    if (!has_reply_consumer_) {
        return refuse(ReplyCode::precondition_failed, "fast reply consumer does not exist");
    }
    const std::string address = std::string(reply_to_prefix) + reply_token_;
    properties_.reply_to = std::string_view(address);
    rewritten_.clear();
    append_properties(rewritten_, properties_);
    raw_properties_ = rewritten_;
    properties_ = *parse_properties(raw_properties_);
    return {};
}

// A publish to the default exchange whose key is such an address goes straight to the waiting channel.
bool Channel::publish_direct_reply(std::string_view body) {
    if (!publish_.exchange.empty() || !publish_.routing_key.starts_with(reply_to_prefix)) return false;
    const auto found = vhost_.reply_channels.find(publish_.routing_key.substr(reply_to_prefix.size()));
    if (found == vhost_.reply_channels.end()) return false;
    return found->second->deliver_reply({"", publish_.routing_key, raw_properties_, body});
}

}  // namespace havn::broker
