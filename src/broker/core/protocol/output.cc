#include "broker/core/protocol/output.h"

#include <algorithm>
#include <utility>

#include "wire/amqp/frame.h"
#include "wire/amqp/properties.h"

namespace havn::broker {

namespace {

constexpr std::size_t piece_bytes = 1u << 20;  // encoded at a time

}  // namespace

char* Output::extend(std::size_t bytes) {
    if (later_.empty()) return amqp::extend(front_, bytes);
    later_bytes_ += bytes;
    return amqp::extend(later_.back().after, bytes);
}

void Output::add_content(std::uint16_t channel, MessagePtr message, std::uint32_t frame_max) {
    const std::string_view properties = message->properties(), body = message->body();
    if (body.size() < large_body_bytes) {
        char* to = extend(amqp::content_size(properties.size(), body.size(), frame_max));
        amqp::store_content(to, channel, properties, body, frame_max);
        return;
    }
    amqp::store_content_header(extend(amqp::content_size(properties.size(), 0, frame_max)), channel,
                               properties, body.size());
    later_bytes_ += body.size();
    referred_bytes_ += body.size();
    later_.push_back({std::move(message), 0, frame_max, channel, {}});
}

std::string& Output::next() {
    if (front_.empty() && !later_.empty()) encode_some();
    return front_;
}

void Output::encode_some() {
    while (!later_.empty() && front_.size() < piece_bytes) {
        Later& first = later_.front();
        const std::string_view body = first.message->body();
        const std::size_t each = first.frame_max - amqp::frame_overhead;
        while (first.sent < body.size() && front_.size() < piece_bytes) {
            const std::string_view part = body.substr(first.sent, each);
            amqp::append_frame(front_, amqp::FrameType::body, first.channel, part);
            first.sent += part.size();
            later_bytes_ -= part.size();
            referred_bytes_ -= part.size();
        }
        if (first.sent < body.size()) return;
        later_bytes_ -= first.after.size();
        front_.append(first.after);
        later_.pop_front();
    }
}

void Output::release_spare() {
    if (front_.empty()) std::string().swap(front_);
}

}  // namespace havn::broker
