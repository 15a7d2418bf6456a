// Letters and digits of ASCII, without the locale that <cctype> asks. Bytes beyond ASCII are neither letters
// nor digits and are left as they are.
#pragma once

#include <string>
#include <string_view>

namespace havn {

constexpr bool is_ascii_lower(char c) {
    return c >= 'a' && c <= 'z';
}
constexpr bool is_ascii_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
constexpr bool is_ascii_digit(char c) {
    return c >= '0' && c <= '9';
}
constexpr bool is_ascii_alphanumeric(char c) {
    return is_ascii_lower(c) || is_ascii_upper(c) || is_ascii_digit(c);
}
constexpr char ascii_lower(char c) {
    return is_ascii_upper(c) ? static_cast<char>(c | 0x20) : c;
}
constexpr char ascii_upper(char c) {
    return is_ascii_lower(c) ? static_cast<char>(c & ~0x20) : c;
}

inline std::string ascii_lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = ascii_lower(c);
    return result;
}
inline std::string ascii_upper(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = ascii_upper(c);
    return result;
}

}  // namespace havn
