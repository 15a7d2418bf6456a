#include "wire/http1/framing.h"

#include "base/text/ascii.h"
#include "wire/http1/characters.h"

namespace havn::http1 {
namespace {

struct ConnectionTokens {
    bool close = false;
    bool keep_alive = false;
    bool upgrade = false;
    std::size_t options = 0;
    Nominated nominated;

    void add(std::string_view list) {
        for_each_item(list, [this](std::string_view item) {
            if (++options > Nominated::options_max) return;
            if (equal_ignoring_case(item, "close")) {
                close = true;
            } else if (equal_ignoring_case(item, "upgrade")) {
                upgrade = true;
            } else if (equal_ignoring_case(item, "keep-alive")) {
                keep_alive = true;
            } else if (!row(find_field(item)).hop_by_hop) {
                nominated.names[nominated.count++] = item;
            }
        });
    }
    bool too_many() const { return options > Nominated::options_max; }
    bool persistent(std::uint8_t minor) const { return !close && (minor == 1 || keep_alive); }
};

// The one value of a length that may be repeated: "5", "5, 5".
std::expected<std::uint64_t, Rule> parse_repeated_length(std::string_view value) {
    std::optional<std::uint64_t> all;
    for (bool more = true; more;) {
        const std::size_t comma = value.find(',');
        std::string_view item = value.substr(0, comma);
        more = comma != std::string_view::npos;
        if (more) value.remove_prefix(comma + 1);
        while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
        while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
        const std::expected<std::uint64_t, Rule> length = parse_length(item);
        if (!length) return length;
        if (all && *all != *length) return std::unexpected(Rule::length_repeated);
        all = *length;
    }
    return *all;
}

// The fields that frame a message. Each may stand there once, but for the length of a response.
struct FramingFields {
    bool length_may_repeat = false;
    const Header* coding = nullptr;
    std::optional<std::uint64_t> length;
    bool length_repeated = false;
    Rule length_rule = Rule::none;
    Rule coding_rule = Rule::none;

    void add_length(std::string_view value) {
        const bool repeated = length.has_value() || length_rule != Rule::none;
        const auto parsed = length_may_repeat ? parse_repeated_length(value) : parse_length(value);
        if (repeated && (!length_may_repeat || !parsed || length != *parsed)) {
            length_rule = Rule::length_repeated;
        }
        if (!parsed && length_rule == Rule::none) length_rule = parsed.error();
        length_repeated |= repeated || value.contains(',');
        if (parsed) length = *parsed;
    }
    void add(const Header& header) {
        if (header.field == Field::content_length) return add_length(header.value);
        if (coding) coding_rule = Rule::coding_invalid;
        coding = &header;
    }
};

Rule check_coding(std::string_view value) {
    if (equal_ignoring_case(value, "chunked")) return Rule::none;
    std::string_view last;
    unsigned chunked = 0;
    bool tokens = true;
    for_each_item(value, [&](std::string_view item) {
        last = item;
        chunked += equal_ignoring_case(item, "chunked");
        tokens = tokens && is_token(item);
    });
    const bool well_formed = tokens && chunked == 1 && equal_ignoring_case(last, "chunked");
    return well_formed && value != last ? Rule::coding_unknown : Rule::coding_invalid;
}

std::expected<Framing, Rule> decide(const FramingFields& fields, std::uint8_t minor) {
    const bool has_length = fields.length.has_value() || fields.length_rule != Rule::none;
    if (fields.coding_rule != Rule::none) return std::unexpected(fields.coding_rule);
    if (fields.coding && has_length) return std::unexpected(Rule::length_and_coding);
    if (fields.length_rule != Rule::none) return std::unexpected(fields.length_rule);
    if (fields.coding) {
        if (minor == 0) return std::unexpected(Rule::coding_in_1_0);
        if (const Rule rule = check_coding(fields.coding->value); rule != Rule::none) {
            return std::unexpected(rule);
        }
        return Framing{Framing::Kind::chunked, 0};
    }
    return has_length ? Framing{Framing::Kind::length, *fields.length} : Framing{};
}

constexpr std::size_t host_name_bytes_max = 255;  // RFC 1035 §2.3.4; a port of five digits may follow

bool valid_host(std::string_view host) {
    if (host.size() > host_name_bytes_max + 6) return false;
    std::string_view port;
    if (host.starts_with('[')) {
        const std::size_t bracket = host.find(']');
        if (bracket == std::string_view::npos || bracket < 3) return false;
        for (const char c : host.substr(1, bracket - 1)) {
            const char l = ascii_lower(c);
            if (!((l >= '0' && l <= '9') || (l >= 'a' && l <= 'f') || l == ':' || l == '.')) return false;
        }
        port = host.substr(bracket + 1);
    } else {
        const std::size_t colon = host.find(':');
        const std::string_view name = host.substr(0, colon);
        if (name.empty() || name.size() > host_name_bytes_max) return false;
        for (const char c : name) {
            if (!has(c, host_character)) return false;
        }
        if (colon != std::string_view::npos) port = host.substr(colon);
    }
    if (port.empty()) return true;
    if (port.front() != ':' || port.size() > 6) return false;
    for (const char c : port.substr(1)) {
        if (c < '0' || c > '9') return false;
    }
    return true;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

// What requests and responses say about this hop alone.
struct HopFields {
    ConnectionTokens connection;
    FramingFields framing;
    std::string_view upgrade;

    void add(const Header& header) {
        switch (header.field) {
            case Field::connection:
                connection.add(header.value);
                break;
            case Field::content_length:
            case Field::transfer_encoding:
                framing.add(header);
                break;
            case Field::upgrade:
                upgrade = header.value;
                break;
            default:
                break;
        }
    }
};

// Splits the target into host and path: RFC 9112 §3.2.
Rule read_target(const RequestHead& head, RequestFacts& facts) {
    const std::string_view target = head.target;
    if (head.method == Method::connect) return Rule::none;
    if (target.front() == '/') {
        facts.path = target;
        return Rule::none;
    }
    if (target == "*") {
        facts.path = target;
        return head.method == Method::options ? Rule::none : Rule::target;
    }
    std::size_t scheme = 0;
    if (starts_with_ignoring_case(target, "http://")) scheme = 7;
    if (starts_with_ignoring_case(target, "https://")) scheme = 8;
    if (scheme == 0) return Rule::target;
    const std::size_t end = target.find_first_of("/?", scheme);
    facts.host = target.substr(scheme, end == std::string_view::npos ? end : end - scheme);
    facts.absolute = true;
    if (!valid_host(facts.host)) return Rule::host_invalid;
    if (end == std::string_view::npos) {
        facts.path = head.method == Method::options ? "*" : "/";
        return Rule::none;
    }
    facts.path = target.substr(end);
    return facts.path.front() == '/' ? Rule::none : Rule::target;
}

}  // namespace

std::expected<std::uint64_t, Rule> parse_length(std::string_view value) {
    constexpr std::uint64_t max = (std::uint64_t{1} << 63) - 1;
    if (value.empty() || value.size() > 19) return std::unexpected(Rule::length_invalid);
    std::uint64_t length = 0;
    for (const char c : value) {
        if (c < '0' || c > '9') return std::unexpected(Rule::length_invalid);
        length = length * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (length > max) return std::unexpected(Rule::length_invalid);
    return length;
}

std::expected<RequestFacts, Rule> inspect(const RequestHead& head) {
    RequestFacts facts;
    HopFields hop;
    const Header* host = nullptr;
    for (const Header& header : head.headers) {
        switch (header.field) {
            case Field::host:
                if (host) return std::unexpected(Rule::host_repeated);
                host = &header;
                break;
            case Field::expect:
                if (head.minor == 0) break;
                facts.expects_continue = equal_ignoring_case(header.value, "100-continue");
                facts.expects_other = !facts.expects_continue;
                break;
            default:
                hop.add(header);
                break;
        }
    }
    if (hop.connection.too_many()) return std::unexpected(Rule::connection_options);
    if (const Rule rule = read_target(head, facts); rule != Rule::none) return std::unexpected(rule);
    if (!host && head.minor == 1) return std::unexpected(Rule::host_missing);
    if (host && !valid_host(host->value)) return std::unexpected(Rule::host_invalid);
    if (host && !facts.absolute) facts.host = host->value;

    const std::expected<Framing, Rule> body = decide(hop.framing, head.minor);
    if (!body) return std::unexpected(body.error());
    facts.body = body->kind == Framing::Kind::length && body->length == 0 ? Framing{} : *body;
    facts.keep_alive = hop.connection.persistent(head.minor);
    facts.nominated = hop.connection.nominated;
    if (hop.connection.upgrade && head.minor == 1) facts.upgrade = hop.upgrade;
    return facts;
}

std::expected<ResponseFacts, Rule> inspect(const ResponseHead& head, Method method) {
    ResponseFacts facts;
    HopFields hop;
    hop.framing.length_may_repeat = true;
    for (const Header& header : head.headers) hop.add(header);
    if (hop.connection.too_many()) return std::unexpected(Rule::connection_options);
    facts.keep_alive = hop.connection.persistent(head.minor);
    facts.nominated = hop.connection.nominated;
    if (hop.connection.upgrade) facts.upgrade = hop.upgrade;
    if (head.status < 200 || head.status == 204) return facts;
    if (hop.framing.length_repeated) facts.folded_length = hop.framing.length;
    if (head.status == 304 || method == Method::head) {  // no body, but its length is passed on
        if (hop.framing.length_rule != Rule::none) return std::unexpected(hop.framing.length_rule);
        return facts;
    }
    const std::expected<Framing, Rule> body = decide(hop.framing, head.minor);
    if (!body) return std::unexpected(body.error());
    facts.body = *body;
    if (facts.body.kind == Framing::Kind::none) {
        facts.body.kind = Framing::Kind::until_close;
        facts.keep_alive = false;
    }
    return facts;
}

}  // namespace havn::http1
