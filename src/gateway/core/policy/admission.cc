#include "gateway/core/policy/admission.h"

#include <algorithm>
#include <cstring>

namespace havn::gateway {
namespace {

// Where nothing is set: a browser opens six, an office hundreds.
constexpr std::uint64_t per_address_min = 256;

}  // namespace

void Admission::set_limits(const Limits& limits) {
    // What stays free for upstreams, log, control and what else must not fail.
    const std::uint64_t reserve = std::min(limits.descriptors / 2, 64 + limits.descriptors / 16);
    const std::uint64_t line = std::max<std::uint64_t>(limits.descriptors - reserve, 1);
    const std::uint64_t edge = std::min(limits.connections, line);
    const std::uint64_t address =
        limits.per_address > 0 ? limits.per_address : std::max(edge / 4, std::min(edge, per_address_min));
    descriptors_.store(limits.descriptors, std::memory_order_relaxed);
    line_.store(line, std::memory_order_relaxed);
    edge_max_.store(edge, std::memory_order_relaxed);
    address_max_.store(address, std::memory_order_relaxed);
}

bool Admission::full() const {
    const std::uint64_t edge = connections();
    return edge >= connections_max() ||
           edge + others_.load(std::memory_order_relaxed) >= line_.load(std::memory_order_relaxed);
}

Admission::Place Admission::reserve() {
    Place place;
    const std::uint64_t edge = edge_.fetch_add(1, std::memory_order_relaxed) + 1;
    const std::uint64_t all = edge + others_.load(std::memory_order_relaxed);
    if (edge > connections_max() || all > line_.load(std::memory_order_relaxed)) {
        edge_.fetch_sub(1, std::memory_order_relaxed);
        return place;
    }
    place.admission_ = this;
    place.from_outside_ = true;
    return place;
}

Admission::Place Admission::inside() {
    Place place;
    others_.fetch_add(1, std::memory_order_relaxed);
    place.admission_ = this;
    return place;
}

// IPv4 as it stands, marked; of IPv6 the first half.
std::uint64_t Admission::key_of(const IpAddress& address) {
    static constexpr std::uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    std::uint64_t key = 0;
    if (std::memcmp(address.data(), mapped, sizeof mapped) == 0) {
        std::memcpy(&key, address.data() + 8, sizeof key);
    } else {
        std::memcpy(&key, address.data(), sizeof key);
    }
    return key;
}

bool Admission::settle(Place& place, const IpAddress& address) {
    const std::uint64_t key = key_of(address);
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    std::uint32_t& count = shard.counts[key];
    if (count >= per_address_max()) return false;
    ++count;
    place.key_ = key;
    place.counted_ = true;
    return true;
}

void Admission::Place::leave() {
    Admission* const admission = std::exchange(admission_, nullptr);
    if (!admission) return;
    (from_outside_ ? admission->edge_ : admission->others_).fetch_sub(1, std::memory_order_relaxed);
    if (!std::exchange(counted_, false)) return;
    Shard& shard = admission->shard_of(key_);
    const std::lock_guard lock(shard.mutex);
    const auto entry = shard.counts.find(key_);
    if (--entry->second == 0) shard.counts.erase(entry);
}

}  // namespace havn::gateway
