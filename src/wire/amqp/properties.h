// The content header of class basic (specification 4.2.6.1): body size and the fourteen properties.
//
// parse_properties() checks every value, headers table included, and gives views into the bytes. A property
// is absent when its flag bit is; an absent one reads as empty or 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/amqp/types.h"

namespace havn::amqp {

inline constexpr std::uint16_t basic_class = 60;
inline constexpr std::size_t content_header_fixed = 12;  // class, weight, body size

struct Properties {
    enum Flag : std::uint16_t {
        has_content_type = 1 << 15,
        has_content_encoding = 1 << 14,
        has_headers = 1 << 13,
        has_delivery_mode = 1 << 12,
        has_priority = 1 << 11,
        has_correlation_id = 1 << 10,
        has_reply_to = 1 << 9,
        has_expiration = 1 << 8,
        has_message_id = 1 << 7,
        has_timestamp = 1 << 6,
        has_type = 1 << 5,
        has_user_id = 1 << 4,
        has_app_id = 1 << 3,
        has_cluster_id = 1 << 2,
    };

    std::uint16_t flags = 0;  // of Flag
    ShortString content_type, content_encoding;
    Table headers;
    Octet delivery_mode = 0, priority = 0;
    ShortString correlation_id, reply_to, expiration, message_id;
    LongLong timestamp = 0;  // seconds since 1970
    ShortString type, user_id, app_id, cluster_id;

    bool has(Flag flag) const { return flags & flag; }
    bool persistent() const { return delivery_mode == 2; }
    bool operator==(const Properties&) const = default;
};

// Flag words and values, the whole of `bytes`.
std::optional<Properties> parse_properties(std::string_view bytes);
void append_properties(std::string& out, const Properties& properties);

struct ContentHeader {
    std::uint16_t class_id = 0;
    std::uint64_t body_size = 0;
    std::string_view properties;  // not checked yet
};

// The payload of a header frame; nothing when it is too short.
std::optional<ContentHeader> parse_content_header(std::string_view payload);

}  // namespace havn::amqp
