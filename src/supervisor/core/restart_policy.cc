#include "supervisor/core/restart_policy.h"

#include <algorithm>

namespace havn::supervisor {

namespace {

// However small startsecs is: nothing may spin.
constexpr milliseconds good_life_min{100};

void drop_before(std::deque<Time>& times, Time start) {
    while (!times.empty() && times.front() <= start) times.pop_front();
}

}  // namespace

void RestartPolicy::forget() {
    failures_.clear();
    slow_retries_ = 0;
    too_often_ = false;
}

milliseconds RestartPolicy::after_life(bool was_ready, Duration lived, Time now, Random& random) {
    const bool good = was_ready && lived >= std::max(limits_.startsecs, good_life_min);
    if (good && lived >= limits_.window) forget();
    if (good && limits_.restarts_max > 0) {
        drop_before(good_ends_, now - limits_.window);
        good_ends_.push_back(now);
        if (good_ends_.size() > limits_.restarts_max) {
            good_ends_.pop_front();
            too_often_ = true;
        }
    }
    if (good && !too_often_) {
        forget();
        return milliseconds(0);
    }
    if (!too_often_) {
        drop_before(failures_, now - limits_.window);
        failures_.push_back(now);
        if (slow_retries_ == 0 && failures_.size() <= limits_.startretries) return milliseconds(0);
    }
    failures_.clear();  // from here on slow_retries_ counts
    const std::uint32_t doublings = std::min(slow_retries_++, 20u);
    const milliseconds pause = std::min(limits_.pause_max, limits_.pause_min * (1u << doublings));
    const auto part = static_cast<std::uint64_t>(pause.count()) / 2;
    return pause - milliseconds(random.below(part + 1));
}

}  // namespace havn::supervisor
