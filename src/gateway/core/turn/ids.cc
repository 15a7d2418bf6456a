#include "gateway/core/turn/ids.h"

namespace havn::gateway {

Id IdGenerator::next(WallTime now) {
    const auto since = std::chrono::floor<milliseconds>(now.time_since_epoch()).count();
    auto millisecond = static_cast<std::uint64_t>(since < 0 ? 0 : since);
    constexpr std::uint32_t counter_max = (1u << 26) - 1;  // 12 bits of rand_a, 14 of rand_b
    if (millisecond > millisecond_ || counter_ == counter_max) {
        millisecond_ = millisecond > millisecond_ ? millisecond : millisecond_ + 1;
        counter_ = static_cast<std::uint32_t>(random_.next() & (counter_max >> 1));
    } else {
        ++counter_;
    }
    const std::uint64_t high = millisecond_ << 16 | 0x7000 | counter_ >> 14;
    const std::uint64_t low =
        std::uint64_t{2} << 62 | std::uint64_t{counter_ & 0x3fff} << 48 | (random_.next() >> 16);
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
