#include "gateway/core/ids.h"

namespace havn::gateway {

// SplitMix64: seeded from the system's randomness by the shell, good enough to be unique, not to be secret.
std::uint64_t IdGenerator::random() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

Id IdGenerator::next(WallTime now) {
    const auto since = std::chrono::floor<milliseconds>(now.time_since_epoch()).count();
    auto millisecond = static_cast<std::uint64_t>(since < 0 ? 0 : since);
    constexpr std::uint32_t counter_max = (1u << 26) - 1;  // 12 bits of rand_a, 14 of rand_b
    if (millisecond > millisecond_ || counter_ == counter_max) {
        millisecond_ = millisecond > millisecond_ ? millisecond : millisecond_ + 1;
        counter_ = static_cast<std::uint32_t>(random() & (counter_max >> 1));
    } else {
        ++counter_;
    }
    const std::uint64_t high = millisecond_ << 16 | 0x7000 | counter_ >> 14;
    const std::uint64_t low =
        std::uint64_t{2} << 62 | std::uint64_t{counter_ & 0x3fff} << 48 | (random() >> 16);
    constexpr std::string_view hex = "0123456789abcdef";
    Id id;
    std::size_t at = 0;
    for (unsigned digit = 0; digit < 32; ++digit) {
        if (digit == 8 || digit == 12 || digit == 16 || digit == 20) id.text[at++] = '-';
        const std::uint64_t half = digit < 16 ? high : low;
        id.text[at++] = hex[half >> (60 - 4 * (digit % 16)) & 15];
    }
    return id;
}

}  // namespace havn::gateway
