#include "wire/http1/head.h"

#include "wire/http1/characters.h"

namespace havn::http1 {
namespace {

enum class Strictness : bool { request, response };

// Where the parser stands. A step that cannot go on sets `progress` and returns false.
struct Cursor {
    const char* begin;
    const char* at;
    const char* end;
    Strictness strictness;
    bool canonical = true;
    Progress progress = Progress::complete;
    Rule rule = Rule::none;

    bool more() {
        progress = Progress::need_more;
        return false;
    }
    bool broken(Rule broken_rule) {
        progress = Progress::malformed;
        rule = broken_rule;
        return false;
    }
    bool lenient() const { return strictness == Strictness::response; }
    Parsed parsed() const { return {progress, rule, static_cast<std::size_t>(at - begin)}; }

    bool line_end(Rule otherwise);
    bool literal(std::string_view text, Rule otherwise);
    bool version(std::uint8_t& minor);
    bool header(Header& header);
    bool headers(std::span<Header> storage, std::span<const Header>& found);
};

bool Cursor::line_end(Rule otherwise) {
    if (at == end) return more();
    if (*at == '\n') {
        if (!lenient()) return broken(Rule::bare_lf);
        canonical = false;
        ++at;
        return true;
    }
    if (*at != '\r') return broken(otherwise);
    if (at + 1 == end) return more();
    if (at[1] != '\n') return broken(Rule::bare_cr);
    at += 2;
    return true;
}

bool Cursor::literal(std::string_view text, Rule otherwise) {
    for (const char c : text) {
        if (at == end) return more();
        if (*at != c) return broken(otherwise);
        ++at;
    }
    return true;
}

bool Cursor::version(std::uint8_t& minor) {
    if (!literal("HTTP/", lenient() ? Rule::status_line : Rule::request_line)) return false;
    if (!literal("1.", Rule::version)) return false;
    if (at == end) return more();
    if (*at < '0' || *at > '9') return broken(Rule::version);
    minor = *at++ == '0' ? 0 : 1;  // a later minor version is read as the latest known: RFC 9110 §2.5
    return true;
}

bool Cursor::header(Header& header) {
    const char* const name = at;
    while (at != end && has(*at, token_character)) ++at;
    if (at == end) return more();
    header.name = {name, static_cast<std::size_t>(at - name)};
    if (*at == ' ' || *at == '\t') {
        if (header.name.empty()) return broken(Rule::obs_fold);
        if (!lenient()) return broken(Rule::space_before_colon);
        canonical = false;
        while (at != end && (*at == ' ' || *at == '\t')) ++at;
        if (at == end) return more();
    }
    if (*at != ':' || header.name.empty()) return broken(Rule::header_name);
    ++at;
    while (at != end && (*at == ' ' || *at == '\t')) ++at;
    const char* const value = at;
    at = skip_value(at, end);
    const char* last = at;
    if (!line_end(Rule::header_value)) return false;
    while (last != value && (last[-1] == ' ' || last[-1] == '\t')) --last;
    header.value = {value, static_cast<std::size_t>(last - value)};
    header.field = find_field(header.name);
    return true;
}

// Header lines up to the empty one.
bool Cursor::headers(std::span<Header> storage, std::span<const Header>& found) {
    std::size_t count = 0;
    found = {};
    for (;;) {
        if (at == end) return more();
        if (*at == '\r' || *at == '\n') break;
        if (count == storage.size()) return broken(Rule::header_count);
        if (!header(storage[count])) return false;
        found = storage.first(++count);
    }
    return line_end(Rule::bare_cr);
}

bool request_line(Cursor& cursor, RequestHead& head) {
    const char* const method = cursor.at;
    while (cursor.at != cursor.end && has(*cursor.at, token_character)) ++cursor.at;
    if (cursor.at == cursor.end) return cursor.more();
    head.method_text = {method, static_cast<std::size_t>(cursor.at - method)};
    if (head.method_text.empty()) return cursor.broken(Rule::request_line);
    if (!cursor.literal(" ", Rule::request_line)) return false;

    const char* const target = cursor.at;
    while (cursor.at != cursor.end && has(*cursor.at, target_character)) ++cursor.at;
    if (cursor.at == cursor.end) return cursor.more();
    head.target = {target, static_cast<std::size_t>(cursor.at - target)};
    if (head.target.empty()) return cursor.broken(Rule::request_line);
    if (!cursor.literal(" ", *cursor.at == '\r' || *cursor.at == '\n' ? Rule::request_line : Rule::target)) {
        return false;
    }
    if (!cursor.version(head.minor)) return false;
    if (!cursor.line_end(Rule::request_line)) return false;
    head.method = find_method(head.method_text);
    return true;
}

bool status_line(Cursor& cursor, ResponseHead& head) {
    if (!cursor.version(head.minor)) return false;
    if (!cursor.literal(" ", Rule::status_line)) return false;
    unsigned status = 0;
    for (int digit = 0; digit < 3; ++digit) {
        if (cursor.at == cursor.end) return cursor.more();
        if (*cursor.at < '0' || *cursor.at > '9') return cursor.broken(Rule::status_line);
        status = status * 10 + static_cast<unsigned>(*cursor.at++ - '0');
    }
    if (status < 100) return cursor.broken(Rule::status_line);
    head.status = static_cast<std::uint16_t>(status);
    if (cursor.at == cursor.end) return cursor.more();
    if (*cursor.at == ' ') ++cursor.at;
    const char* const reason = cursor.at;
    if (reason[-1] == ' ') cursor.at = skip_value(cursor.at, cursor.end);
    head.reason = {reason, static_cast<std::size_t>(cursor.at - reason)};
    return cursor.line_end(Rule::status_line);
}

}  // namespace

Parsed parse_request_head(std::string_view input, std::span<Header> storage, RequestHead& head) {
    Cursor cursor{input.data(), input.data(), input.data() + input.size(), Strictness::request};
    // Empty lines before a request line are left over from the message before: RFC 9112 §2.2.
    while (cursor.at != cursor.end && *cursor.at == '\r') {
        if (!cursor.line_end(Rule::bare_cr)) return cursor.parsed();
    }
    if (request_line(cursor, head)) cursor.headers(storage, head.headers);
    return cursor.parsed();
}

Parsed parse_response_head(std::string_view input, std::span<Header> storage, ResponseHead& head) {
    Cursor cursor{input.data(), input.data(), input.data() + input.size(), Strictness::response};
    if (status_line(cursor, head)) cursor.headers(storage, head.headers);
    head.canonical = cursor.canonical;
    return cursor.parsed();
}

}  // namespace havn::http1
