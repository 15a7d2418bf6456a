#include "gateway/core/guard.h"

#include <algorithm>

namespace havn::gateway {

Time Guard::due(TransactionState state) const {
    using enum TransactionState;
    switch (state) {
        case connecting:
            return std::min(connect_, total_);
        case awaiting:
        case responding:
            return std::min(total_, progressed_ + (silent_ ? route_->tunnel_timeout : route_->idle_timeout));
        case tunnelling:
            return progressed_ + route_->tunnel_timeout;
        case settling:
        case answering:
            return fixed_;
        case routing:
        case over:
            break;
    }
    return Time::max();
}

std::optional<Time> Guard::rearm(TransactionState state, bool is_set) {
    const Time until = due(state);
    if (is_set && armed_for_ <= until) return std::nullopt;
    armed_for_ = until;
    return until;
}

}  // namespace havn::gateway
