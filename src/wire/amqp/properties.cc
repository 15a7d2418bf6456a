#include "wire/amqp/properties.h"

#include "wire/amqp/bytes.h"
#include "wire/amqp/table.h"

namespace havn::amqp {

namespace {

// Calls f(flag, field) for the properties in the order of the wire.
template <class P, class F>
void visit(P& p, F&& f) {
    f(Properties::has_content_type, p.content_type);
    f(Properties::has_content_encoding, p.content_encoding);
    f(Properties::has_headers, p.headers);
    f(Properties::has_delivery_mode, p.delivery_mode);
    f(Properties::has_priority, p.priority);
    f(Properties::has_correlation_id, p.correlation_id);
    f(Properties::has_reply_to, p.reply_to);
    f(Properties::has_expiration, p.expiration);
    f(Properties::has_message_id, p.message_id);
    f(Properties::has_timestamp, p.timestamp);
    f(Properties::has_type, p.type);
    f(Properties::has_user_id, p.user_id);
    f(Properties::has_app_id, p.app_id);
    f(Properties::has_cluster_id, p.cluster_id);
}

struct Take {
    Reader& in;

    void operator()(Octet& value) { value = in.integer<Octet>(); }
    void operator()(LongLong& value) { value = in.integer<LongLong>(); }
    void operator()(ShortString& value) { value = in.short_string(); }
    void operator()(Table& value) {
        value.bytes = in.long_string();
        if (!is_valid_table(value.bytes)) in.fail();
    }
};

struct Put {
    std::string& out;

    void operator()(Octet value) { store(extend(out, 1), value); }
    void operator()(LongLong value) { store(extend(out, 8), value); }
    void operator()(const ShortString& value) {
        HAVN_ASSERT(value.size() <= 255, "a short string");
        store_bytes(store(extend(out, 1 + value.size()), static_cast<std::uint8_t>(value.size())), value);
    }
    void operator()(const Table& value) {
        const auto size = static_cast<std::uint32_t>(value.bytes.size());
        store_bytes(store(extend(out, 4 + value.bytes.size()), size), value.bytes);
    }
};

}  // namespace

std::optional<Properties> parse_properties(std::string_view bytes) {
    Properties properties;
    Reader in(bytes);
    properties.flags = in.integer<std::uint16_t>();
    // Bit 1 is not a property, bit 0 would announce a second flag word: class basic has neither.
    if (!in.ok() || (properties.flags & 3)) return std::nullopt;
    visit(properties, [&](Properties::Flag flag, auto& field) {
        if (properties.flags & flag) Take{in}(field);
    });
    if (!in.ok() || !in.at_end()) return std::nullopt;
    return properties;
}

void append_properties(std::string& out, const Properties& properties) {
    HAVN_ASSERT((properties.flags & 3) == 0, "fourteen properties");
    store(extend(out, 2), properties.flags);
    visit(properties, [&](Properties::Flag flag, const auto& field) {
        if (properties.flags & flag) Put{out}(field);
    });
}

std::optional<ContentHeader> parse_content_header(std::string_view payload) {
    if (payload.size() < content_header_fixed + 2) return std::nullopt;
    ContentHeader header;
    header.class_id = load<std::uint16_t>(payload.data());
    header.body_size = load<std::uint64_t>(payload.data() + 4);
    header.properties = payload.substr(content_header_fixed);
    return header;
}

}  // namespace havn::amqp
