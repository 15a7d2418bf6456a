#include "broker/core/protocol/publisher_gate.h"

#include <utility>

namespace havn::broker {

void PublisherGate::open(bool wants_blocked) {
    open_ = true;
    wants_blocked_ = wants_blocked;
    on_alarm();
}

void PublisherGate::on_alarm() {
    const bool alarm = !context_.alarm.empty();
    const bool was_held_back = std::exchange(held_back_, alarm && published_);
    if (was_held_back && !held_back_) out_.wake();  // may be read again
    const bool concerned = alarm && (published_ || gateway_);
    if (concerned == told_blocked_ || !open_) return;
    told_blocked_ = concerned;
    if (!wants_blocked_) return;
    if (concerned) {
        out_.send(0, amqp::ConnectionBlocked{std::string_view(context_.alarm).substr(0, 255)});
    } else {
        out_.send(0, amqp::ConnectionUnblocked{});
    }
}

}  // namespace havn::broker
