#include "broker/core/protocol/outbox.h"

namespace havn::broker {

char* Outbox::extend(std::size_t bytes) {
    if (output_.empty()) wake();
    return output_.extend(bytes);
}

void Outbox::send_bytes(std::string_view bytes) {
    amqp::store_bytes(extend(bytes.size()), bytes);
}

void Outbox::send_heartbeat() {
    char* to = extend(amqp::frame_overhead);
    amqp::store(amqp::store_frame_head(to, amqp::FrameType::heartbeat, 0, 0), amqp::frame_end);
}

void Outbox::release_held() {
    if (held_until_ == 0 || held_until_ > context_.durable) return;
    held_until_ = 0;
    send_bytes(held_);
    held_.clear();
}

void Outbox::drop_held() {
    held_.clear();
    held_until_ = 0;
}

bool Outbox::room_is_back() {
    if (!room_is_wanted_ || unread() >= room_bytes) return false;
    room_is_wanted_ = false;
    return true;
}

}  // namespace havn::broker
