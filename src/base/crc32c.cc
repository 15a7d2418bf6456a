#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace havn {

namespace {

constexpr std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82F63B78u : 0u);
        entries[i] = value;
    }
    return entries;
}();

}  // namespace

std::uint32_t crc32c_portable(std::string_view data, std::uint32_t before) {
    std::uint32_t crc = ~before;
    for (const char c : data) crc = table[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static std::uint32_t crc32c_sse42(std::string_view data,
                                                                    std::uint32_t before) {
    std::uint64_t crc = ~before;
    const char* at = data.data();
    std::size_t left = data.size();
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t word;
        std::memcpy(&word, at, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    auto narrow = static_cast<std::uint32_t>(crc);
    for (; left > 0; ++at, --left) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
    return ~narrow;
}

std::uint32_t crc32c(std::string_view data, std::uint32_t before) {
    static const bool fast = __builtin_cpu_supports("sse4.2");
    return fast ? crc32c_sse42(data, before) : crc32c_portable(data, before);
}

#else

std::uint32_t crc32c(std::string_view data, std::uint32_t before) {
    return crc32c_portable(data, before);
}

#endif

}  // namespace havn
