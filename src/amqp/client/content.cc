#include "amqp/client/content.h"

#include "wire/amqp/properties.h"

namespace havn::amqp::client {

namespace {

constexpr std::size_t kept_properties_max = 4'096;  // bytes, from one content to the next

}  // namespace

void Content::begin(const BasicDeliver& method) {
    stage_ = Stage::header;
    is_delivery_ = true;
    redelivered_ = method.redelivered;
    delivery_tag_ = method.delivery_tag;
    consumer_tag_ = method.consumer_tag;
    exchange_ = method.exchange;
    routing_key_ = method.routing_key;
}

void Content::begin(const BasicReturn& method) {
    stage_ = Stage::header;
    is_delivery_ = false;
    reply_code_ = method.reply_code;
    exchange_ = method.exchange;
    routing_key_ = method.routing_key;
}

Content::Step Content::take_header(std::string_view payload) {
    const std::optional<ContentHeader> header = parse_content_header(payload);
    if (stage_ != Stage::header || !header || header->class_id != basic_class) return Step::bad;
    stage_ = Stage::body;
    properties_ = header->properties;
    body_size_ = body_left_ = header->body_size;
    skipped_ = !is_delivery_ || body_size_ > body_bytes_max_;
    return body_left_ == 0 ? end() : Step::more;
}

Content::Step Content::take_body(std::string_view payload) {
    if (stage_ != Stage::body || payload.empty() || payload.size() > body_left_) return Step::bad;
    const bool in_one = payload.size() == body_size_;
    body_left_ -= payload.size();
    if (in_one && !skipped_) {
        body_ = payload;
    } else if (!skipped_) {
        skipped_ = !gather(payload);
    }
    return body_left_ == 0 ? end() : Step::more;
}

bool Content::gather(std::string_view payload) {
    if (held_.bytes() == 0) {
        if (!held_.try_grow(body_size_)) return false;
        gathered_.reserve(body_size_);
    }
    gathered_ += payload;
    body_ = gathered_;
    return true;
}

Content::Step Content::end() {
    stage_ = Stage::none;
    return Step::complete;
}

void Content::clear() {
    stage_ = Stage::none;
    body_ = {};
    if (properties_.capacity() > kept_properties_max) properties_ = std::string();
    if (held_.bytes() == 0) return;
    gathered_ = std::string();
    held_.release();
}

Delivery Content::delivery() const {
    return {consumer_tag_, delivery_tag_, redelivered_, exchange_,
            routing_key_,  body_size_,    properties_,  body_};
}

Returned Content::returned() const {
    return {reply_code_, exchange_, routing_key_, properties_};
}

}  // namespace havn::amqp::client
