// What a field of an AMQP 0-9-1 method can be (specification 4.2.5), and the reply codes (1.2 "constants").
// Strings and tables are views into the bytes they were decoded from.
#pragma once

#include <cstdint>
#include <string_view>

namespace havn::amqp {

using Octet = std::uint8_t;
using Short = std::uint16_t;
using Long = std::uint32_t;
using LongLong = std::uint64_t;
using Bit = bool;

struct ShortString : std::string_view {  // at most 255 bytes
    using std::string_view::string_view;
    ShortString(std::string_view text) : std::string_view(text) {}
};
struct LongString : std::string_view {
    using std::string_view::string_view;
    LongString(std::string_view text) : std::string_view(text) {}
};

// A field table as it stood on the wire, without its length. Decoded ones are valid; see table.h to look
// inside.
struct Table {
    std::string_view bytes;

    bool operator==(const Table&) const = default;
};

enum class ReplyCode : std::uint16_t {
    success = 200,
    content_too_large = 311,
    no_route = 312,
    no_consumers = 313,
    connection_forced = 320,
    invalid_path = 402,
    access_refused = 403,
    not_found = 404,
    resource_locked = 405,
    precondition_failed = 406,
    frame_error = 501,
    syntax_error = 502,
    command_invalid = 503,
    channel_error = 504,
    unexpected_frame = 505,
    resource_error = 506,
    not_allowed = 530,
    not_implemented = 540,
    internal_error = 541,
};

// "NOT_FOUND": what a reply text begins with.
std::string_view name(ReplyCode code);

// A soft error closes the channel, a hard one the connection.
bool closes_channel_only(ReplyCode code);

}  // namespace havn::amqp
