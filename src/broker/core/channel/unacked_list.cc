#include "broker/core/channel/unacked_list.h"

#include <algorithm>

namespace havn::broker {

void UnackedList::push(Unacked unacked) {
    list_.push_back(std::move(unacked));
    ++live_;
}

std::optional<Unacked> UnackedList::take(std::uint64_t tag) {
    if (list_.empty() || tag < list_.front().tag) return std::nullopt;
    // Nearly always tags follow one another without a gap, and the place is known.
    auto at =
        list_.begin() + static_cast<std::ptrdiff_t>(std::min(tag - list_.front().tag, list_.size() - 1));
    if (at->tag != tag) {
        at = std::ranges::lower_bound(list_, tag, {}, &Unacked::tag);
        if (at == list_.end() || at->tag != tag) return std::nullopt;
    }
    if (!at->queue) return std::nullopt;
    Unacked taken = std::move(*at);
    at->queue = nullptr;
    --live_;
    drop_settled();
    return taken;
}

std::optional<Unacked> UnackedList::take_first(std::uint64_t tag_max) {
    if (live_ == 0 || list_.front().tag > tag_max) return std::nullopt;
    Unacked taken = std::move(list_.front());
    list_.pop_front();
    --live_;
    drop_settled();
    return taken;
}

// The first of the list is never a settled one; and settled ones never outnumber the live by much, so one
// delivery that stays open for hours does not make the list grow with all that comes after it.
void UnackedList::drop_settled() {
    while (!list_.empty() && !list_.front().queue) list_.pop_front();
    if (list_.size() > 256 && list_.size() > 4 * live_) {
        std::erase_if(list_, [](const Unacked& unacked) { return !unacked.queue; });
    }
}

void UnackedList::forget(const Subscription& subscription) {
    for (Unacked& unacked : list_) {
        if (unacked.subscription == &subscription) unacked.subscription = nullptr;
    }
}

}  // namespace havn::broker
