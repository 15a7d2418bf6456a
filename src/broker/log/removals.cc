#include "broker/log/removals.h"

#include <algorithm>

namespace havn::broker {

bool Removals::pays(const Segment& segment) const {
    return settlements_.bytes_to_carry(segment) <= std::max<std::uint64_t>(segment.end, worth_min_) / 4;
}

void Removals::order() {
    // Carrying may seal a segment: that one is for the next time.
    for (Segment* const segment : segments_.take_removable()) {
        if (!pays(*segment)) {
            kept_back_.push_back(segment);
            continue;
        }
        settlements_.carry(*segment);
        segment->leaving = true;
        tail_.batch().removals.push_back(segment->name);
    }
}

void Removals::try_again() {
    for (Segment* const segment : kept_back_) segments_.offer(*segment);
    kept_back_.clear();
}

}  // namespace havn::broker
