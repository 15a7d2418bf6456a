// Classes of bytes, one table: what may stand in a token, a target, a field value, a host.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace havn::http1 {

enum CharacterClass : std::uint8_t {
    token_character = 1,   // RFC 9110 §5.6.2
    target_character = 2,  // visible, not '#'; bytes above 127 pass as they came
    value_character = 4,   // visible, space, tab, bytes above 127: RFC 9110 §5.5
    host_character = 8,    // of a registered name, RFC 3986 §3.2.2, without the comma and escapes
};

consteval std::array<std::uint8_t, 256> make_character_classes() {
    std::array<std::uint8_t, 256> classes{};
    for (unsigned c = 0x20; c < 256; ++c) {
        if (c == 0x7f) continue;
        classes[c] |= value_character;
        if (c > 0x20 && c != '#') classes[c] |= target_character;
    }
    classes['\t'] |= value_character;
    const auto add = [&](std::string_view characters, std::uint8_t bit) {
        for (const char c : characters) classes[static_cast<unsigned char>(c)] |= bit;
    };
    constexpr std::string_view alphanumeric =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    add(alphanumeric, token_character | host_character);
    add("!#$%&'*+-.^_`|~", token_character);
    add("-._~!$&'()*+;=", host_character);
    return classes;
}

inline constexpr std::array<std::uint8_t, 256> character_classes = make_character_classes();

inline bool has(char c, CharacterClass wanted) {
    return (character_classes[static_cast<unsigned char>(c)] & wanted) != 0;
}

// The first byte in [at, end) that may not stand in a field value (16 at a time where SSE2 is).
inline const char* skip_value(const char* at, const char* end) {
#if defined(__SSE2__)
    const __m128i last_control = _mm_set1_epi8(0x1f);
    const __m128i del = _mm_set1_epi8(0x7f);
    const __m128i tab = _mm_set1_epi8('\t');
    while (end - at >= 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
        const __m128i bad =
            _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control), _mm_cmpeq_epi8(bytes, del));
        const int mask = _mm_movemask_epi8(bad);
        if (mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
        at += 16;
    }
#endif
    while (at != end && has(*at, value_character)) ++at;
    return at;
}

}  // namespace havn::http1
