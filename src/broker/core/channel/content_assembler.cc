#include "broker/core/channel/content_assembler.h"

#include <algorithm>

namespace havn::broker {

using namespace amqp;

namespace {

constexpr std::uint64_t reserved_bytes_max = 1u << 20;  // for a body of which little has come

}  // namespace

void ContentAssembler::begin(const BasicPublish& method) {
    content_.exchange = method.exchange;
    content_.routing_key = method.routing_key;
    content_.mandatory = method.mandatory;
    detached_ = false;
    expected_ = Expected::header;
}

Outcome ContentAssembler::on_header(std::string_view payload) {
    if (expected_ != Expected::header) {
        return refuse(ReplyCode::unexpected_frame, "expected {}, got a content header instead",
                      expected_ == Expected::body ? "content body" : "a method");
    }
    const auto header = parse_content_header(payload);
    if (!header) return refuse(ReplyCode::frame_error, "a content header of {} bytes", payload.size());
    if (header->class_id != basic_class) {
        return refuse(ReplyCode::unexpected_frame,
                      "expected content header for class 60, got one for class {} instead", header->class_id);
    }
    const auto properties = parse_properties(header->properties);
    if (!properties) return refuse(ReplyCode::syntax_error, "malformed content properties");
    const std::uint64_t bytes_max = context_.broker.config.message_bytes_max;
    if (header->body_size > bytes_max) {
        return refuse(ReplyCode::precondition_failed, "message size {} is larger than configured max size {}",
                      header->body_size, bytes_max);
    }
    content_.raw_properties = header->properties;
    content_.properties = *properties;
    body_size_ = header->body_size;
    if (body_size_ == 0) return complete({});
    expected_ = Expected::body;
    detached_ = false;
    return {};
}

Outcome ContentAssembler::on_body(std::string_view payload) {
    if (expected_ != Expected::body) {
        return refuse(ReplyCode::unexpected_frame, "expected {}, got a content body instead",
                      expected_ == Expected::header ? "content header" : "a method");
    }
    if (payload.size() + body_.size() > body_size_) {
        return refuse(ReplyCode::frame_error, "the body is longer than the {} bytes its header announced",
                      body_size_);
    }
    if (body_.empty() && payload.size() == body_size_) return complete(payload);
    if (body_.empty()) body_.reserve(std::min(body_size_, reserved_bytes_max));
    body_.append(payload);
    note_unfinished();
    if (body_.size() < body_size_) return {};
    return complete(body_);
}

Outcome ContentAssembler::complete(std::string_view body) {
    expected_ = Expected::method;
    content_.body = body;
    return {};
}

void ContentAssembler::drop() {
    expected_ = Expected::method;
    std::string().swap(body_);  // assigning an empty string would keep the memory
    note_unfinished();
}

void ContentAssembler::note_unfinished() {
    const std::size_t now = body_.empty() ? 0 : body_.capacity();
    context_.holdings.unfinished_bytes += now - counted_bytes_;
    counted_bytes_ = now;
}

void ContentAssembler::detach_from_input() {
    if (expected_ == Expected::method || detached_) return;
    if (content_.exchange.data() != kept_exchange_.data()) {
        kept_exchange_ = content_.exchange;
        content_.exchange = kept_exchange_;
    }
    if (content_.routing_key.data() != kept_key_.data()) {
        kept_key_ = content_.routing_key;
        content_.routing_key = kept_key_;
    }
    if (expected_ == Expected::body) {
        kept_properties_ = content_.raw_properties;
        content_.raw_properties = kept_properties_;
        content_.properties = *parse_properties(content_.raw_properties);
    }
    detached_ = true;
}

}  // namespace havn::broker
