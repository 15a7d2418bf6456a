#include "broker/core/channel/confirms.h"

namespace havn::broker {

void Confirms::add(LogPosition position) {
    if (!batch_open_) {
        batches_.emplace_back();
        batch_open_ = true;
    }
    Batch& batch = batches_.back();
    batch.last = sequence_;
    ++batch.count;
    if (position != 0) batch.position = position;
}

Confirms::Acknowledged Confirms::take(LogPosition durable) {
    batch_open_ = false;
    Acknowledged taken;
    while (!batches_.empty() && batches_.front().position <= durable) {
        taken.last = batches_.front().last;
        taken.count += batches_.front().count;
        batches_.pop_front();
    }
    return taken;
}

}  // namespace havn::broker
