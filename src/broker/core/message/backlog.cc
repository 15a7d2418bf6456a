#include "broker/core/message/backlog.h"

#include <algorithm>

#include "base/assert.h"

namespace havn::broker {

void Backlog::push(Entry entry) {
    const std::uint64_t lane = std::min<std::uint64_t>(entry.priority, lanes_.size() - 1);
    entry.priority = lane & 0xFF;
    ++count_;
    bytes_ += entry.size;
    lanes_[lane].fresh.push_back(std::move(entry));
}

void Backlog::put_back(LanePlace place, Entry entry) {
    Lane& lane = lanes_[entry.priority];
    HAVN_ASSERT(place.number < lane.next, "only what was taken comes back");
    ++count_;
    bytes_ += entry.size;
    lane.returned.emplace(place.number, std::move(entry));
}

std::size_t Backlog::highest() const {
    HAVN_ASSERT(count_ > 0, "an empty backlog has no front");
    std::size_t lane = lanes_.size() - 1;
    while (lanes_[lane].empty()) --lane;
    return lane;
}

std::size_t Backlog::lowest() const {
    HAVN_ASSERT(count_ > 0, "an empty backlog has no eldest");
    std::size_t lane = 0;
    while (lanes_[lane].empty()) ++lane;
    return lane;
}

const Entry& Backlog::front() const {
    return lanes_[highest()].front();
}

Entry Backlog::take_from(Lane& lane, LanePlace& place) {
    --count_;
    if (lane.returned.empty()) {
        Entry entry = std::move(lane.fresh.front());
        place.number = lane.next++;
        lane.fresh.pop_front();
        bytes_ -= entry.size;
        return entry;
    }
    const auto first = lane.returned.begin();
    Entry entry = std::move(first->second);
    place.number = first->first;
    lane.returned.erase(first);
    bytes_ -= entry.size;
    return entry;
}

Entry Backlog::take(LanePlace& place) {
    return take_from(lanes_[highest()], place);
}

Entry Backlog::take_eldest(LanePlace& place) {
    return take_from(lanes_[lowest()], place);
}

}  // namespace havn::broker
