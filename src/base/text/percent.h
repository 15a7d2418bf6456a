// Percent-encoding (RFC 3986 §2.1) of a whole text: one segment of a path, one value of a query, one part of
// a URL's authority.
#pragma once

#include <string>
#include <string_view>

namespace havn {

// Everything but the unreserved characters (§2.3) is escaped, with capital digits.
std::string percent_encode(std::string_view text);

// Every escape becomes its byte; a % that begins none stays as it is. Never longer than `text`.
std::string percent_decode(std::string_view text);

// Whether every % begins an escape.
bool is_percent_encoded(std::string_view text);

}  // namespace havn
