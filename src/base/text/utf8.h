// UTF-8 of bytes that others wrote: RFC 3629 §3, so no overlong forms, no surrogates, nothing past U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace havn {

// Bytes of the character `text` begins with, 1 to 4; 0 when there is none.
std::size_t utf8_size(std::string_view text);

bool is_utf8(std::string_view text);

inline constexpr std::string_view utf8_replacement = "\xef\xbf\xbd";  // U+FFFD

}  // namespace havn
