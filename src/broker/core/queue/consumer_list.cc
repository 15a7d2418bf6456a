#include "broker/core/queue/consumer_list.h"

#include <algorithm>

namespace havn::broker {

namespace {

auto of_lower_priority(const Consumer& consumer) {
    return [&consumer](const Consumer* other) {
        return other->settings().priority < consumer.settings().priority;
    };
}

}  // namespace

void ConsumerList::add(Consumer& consumer) {
    consumers_.insert(std::ranges::find_if(consumers_, of_lower_priority(consumer)), &consumer);
    if (!active_) active_ = &consumer;
    had_any_ = true;
}

void ConsumerList::remove(Consumer& consumer) {
    std::erase(consumers_, &consumer);
    if (active_ == &consumer) active_ = consumers_.empty() ? nullptr : consumers_.front();
}

Consumer* ConsumerList::next() {
    if (single_active_) return active_ && active_->has_credit() ? active_ : nullptr;
    const auto found =
        std::ranges::find_if(consumers_, [](Consumer* consumer) { return consumer->has_credit(); });
    if (found == consumers_.end()) return nullptr;
    Consumer* consumer = *found;
    std::rotate(found, found + 1, std::find_if(found, consumers_.end(), of_lower_priority(*consumer)));
    return consumer;
}

}  // namespace havn::broker
