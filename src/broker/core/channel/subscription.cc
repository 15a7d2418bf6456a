#include "broker/core/channel/subscription.h"

#include "broker/core/channel/subscriptions.h"

namespace havn::broker {

bool Subscription::has_credit() {
    return owner_.has_credit(*this);
}

void Subscription::deliver(Delivery& delivery) {
    owner_.deliver(*this, delivery);
}

void Subscription::cancelled() {
    owner_.on_queue_deleted(*this);
}

}  // namespace havn::broker
