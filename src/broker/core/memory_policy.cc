#include "broker/core/memory_policy.h"

#include <algorithm>
#include <numeric>

namespace havn::broker {

namespace {

constexpr Milliseconds shed_after = 10'000;  // of an alarm

std::uint64_t end_of_alarm(std::uint64_t limit) {
    return limit - limit / 4;
}

}  // namespace

bool MemoryPolicy::update(std::uint64_t used, std::uint64_t limit, Milliseconds now) {
    if (alarm_ ? used >= end_of_alarm(limit) : used <= limit) return false;
    alarm_ = !alarm_;
    shed_at_ = alarm_ ? now + shed_after : never;
    return true;
}

std::vector<std::size_t> MemoryPolicy::choose_to_shed(const std::vector<std::uint64_t>& stuck_bytes,
                                                      std::uint64_t used, std::uint64_t limit,
                                                      Milliseconds now) {
    shed_at_ = now + shed_after;
    const std::uint64_t stuck = std::accumulate(stuck_bytes.begin(), stuck_bytes.end(), std::uint64_t{0});
    if (stuck == 0 || used - std::min(stuck, used) >= end_of_alarm(limit)) return {};
    std::vector<std::size_t> holders(stuck_bytes.size());
    std::iota(holders.begin(), holders.end(), std::size_t{0});
    std::ranges::sort(holders, std::greater(), [&](std::size_t holder) { return stuck_bytes[holder]; });
    std::vector<std::size_t> chosen;
    for (const std::size_t holder : holders) {
        if (used < end_of_alarm(limit) || stuck_bytes[holder] == 0) break;
        used -= std::min(used, stuck_bytes[holder]);
        chosen.push_back(holder);
    }
    return chosen;
}

}  // namespace havn::broker
