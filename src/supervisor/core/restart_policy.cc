#include "supervisor/core/restart_policy.h"

#include <algorithm>

namespace havn::supervisor {

// However small startsecs is: nothing may spin.
static constexpr milliseconds good_life_min{100};

milliseconds RestartPolicy::after_life(bool was_ready, Duration lived, Time now, Random& random) {
    if (was_ready && lived >= std::max(limits_.startsecs, good_life_min)) {
        failures_.clear();
        slow_retries_ = 0;
        return milliseconds(0);
    }
    while (!failures_.empty() && failures_.front() + limits_.window <= now) failures_.pop_front();
    failures_.push_back(now);
    if (slow_retries_ == 0 && failures_.size() <= limits_.startretries) return milliseconds(0);
    failures_.clear();  // from here on slow_retries_ counts
    const std::uint32_t doublings = std::min(slow_retries_++, 20u);
    const milliseconds pause = std::min(limits_.pause_max, limits_.pause_min * (1u << doublings));
    const auto part = static_cast<std::uint64_t>(pause.count()) / 2;
    return pause - milliseconds(random.below(part + 1));
}

}  // namespace havn::supervisor
