// The forms of a request's path that routes are matched against. RFC 3986 §6.2.2.
//
// Upstreams get a path byte for byte as it was sent and read it in their own way: one resolves dot segments,
// one takes %2F or a backslash for a slash, one drops `;parameters`. A rule must hold however the path is
// spelled, so it is matched in its normal form, and spellings that some reader takes for another path are
// matched in those readings too (RouteTable). Escapes are decoded once: a reader that decodes twice is on
// its own. The query is not part of a path.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace havn::gateway {

// True when the path is its own normal form and can be read in no other way: one pass, no allocation. False
// says only that it must be looked at.
bool is_plain_path(std::string_view path);

// Escapes are decoded, except those of '/', '?', '#', ';' and '%', which are data; empty and "." segments
// are dropped, then ".." takes the segment before it away, never above the root. Normal forms are normal.
// The error completes "the request was refused: …": an escape that is none, or one of NUL.
std::expected<std::string, std::string_view> normal_path(std::string_view path);

// What other readers may take a path with a normal form for, at most eleven forms, some of them perhaps
// equal: ".." left alone or resolved before empty segments are dropped, escaped slashes and backslashes as
// slashes, segments cut at ';', %3B, %3F and %23.
std::vector<std::string> other_readings(std::string_view path);

}  // namespace havn::gateway
