// Request and response heads: the bytes up to and including the empty line. RFC 9112 §2–§5.
//
// A parser reads a span and keeps nothing: `complete` (and how many bytes the head takes), `need_more` (call
// again with more, from the start), or `malformed` with the rule broken and where. All views point into the
// input; header lines go to the caller's storage, whose size is the limit on their number. The caller bounds
// the bytes: a head that still needs more when the buffer is full is too large. Of a request that is not
// complete, `head` holds what was read of it.
//
// Requests are read strictly. Of a response a bare LF as line end and space before a colon are accepted,
// since the head is written anew before anybody sees it; `canonical` is false then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wire/http1/tables.h"

namespace havn::http1 {

struct Header {
    std::string_view name;
    std::string_view value;  // without surrounding white space
    Field field = Field::other;
};

struct RequestHead {
    Method method = Method::other;
    std::string_view method_text;
    std::string_view target;  // byte for byte as sent
    std::uint8_t minor = 1;   // HTTP/1.minor, 0 or 1
    std::span<const Header> headers;
};

struct ResponseHead {
    std::uint16_t status = 0;  // 100 to 999; what is above 599 counts as 5xx: RFC 9110 §15
    std::string_view reason;
    std::uint8_t minor = 1;
    bool canonical = true;  // every line may be copied as it stands
    std::span<const Header> headers;
};

enum class Progress : std::uint8_t { complete, need_more, malformed };

struct Parsed {
    Progress progress = Progress::need_more;
    Rule rule = Rule::none;
    std::size_t bytes = 0;  // complete: of the head; malformed: before the offending one
};

Parsed parse_request_head(std::string_view input, std::span<Header> storage, RequestHead& head);
Parsed parse_response_head(std::string_view input, std::span<Header> storage, ResponseHead& head);

}  // namespace havn::http1
