#include "wire/http1/tables.h"

#include "base/text/ascii.h"
#include "wire/http1/characters.h"

namespace havn::http1 {

Method find_method(std::string_view text) {
    for (std::size_t i = 1; i < methods.size(); ++i) {
        if (methods[i].text == text) return static_cast<Method>(i);
    }
    return Method::other;
}

namespace {

// Length, first and last letter tell the known names apart: checked below, at compile time.
constexpr std::size_t field_slots = 128;

constexpr std::size_t field_slot(std::string_view name) {
    const auto first = static_cast<unsigned char>(name.front() | 0x20);
    const auto last = static_cast<unsigned char>(name.back() | 0x20);
    return (name.size() + first * 3 + last * 4) % field_slots;
}

constexpr std::array<std::uint8_t, field_slots> make_field_index() {
    std::array<std::uint8_t, field_slots> index{};
    for (std::size_t i = 1; i < fields.size(); ++i) {
        index[field_slot(fields[i].name)] = static_cast<std::uint8_t>(i);
    }
    return index;
}

constexpr std::array<std::uint8_t, field_slots> field_index = make_field_index();

consteval bool every_field_is_found() {
    for (std::size_t i = 1; i < fields.size(); ++i) {
        if (field_index[field_slot(fields[i].name)] != i) return false;
    }
    return true;
}
static_assert(every_field_is_found(), "two known fields share a slot: change the factors of field_slot");

}  // namespace

Field find_field(std::string_view name) {
    if (name.empty()) return Field::other;
    const std::size_t candidate = field_index[field_slot(name)];
    return candidate != 0 && equal_ignoring_case(fields[candidate].name, name) ? static_cast<Field>(candidate)
                                                                               : Field::other;
}

std::string_view reason(unsigned status) {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "Switching Protocols";
        case 103:
            return "Early Hints";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 203:
            return "Non-Authoritative Information";
        case 204:
            return "No Content";
        case 205:
            return "Reset Content";
        case 206:
            return "Partial Content";
        case 300:
            return "Multiple Choices";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 402:
            return "Payment Required";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 407:
            return "Proxy Authentication Required";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 416:
            return "Range Not Satisfiable";
        case 417:
            return "Expectation Failed";
        case 421:
            return "Misdirected Request";
        case 422:
            return "Unprocessable Content";
        case 425:
            return "Too Early";
        case 426:
            return "Upgrade Required";
        case 428:
            return "Precondition Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 451:
            return "Unavailable For Legal Reasons";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        case 508:
            return "Loop Detected";
        default:
            return "Unknown";
    }
}

namespace {

constexpr std::array<RuleRow, 26> rules{{
    {200, "nothing is wrong"},
    {400, "the request line is not METHOD SP TARGET SP HTTP/1.1"},
    {400, "the request target is not a path, an http URL or *"},
    {505, "the version is not HTTP/1.0 or HTTP/1.1"},
    {400, "a carriage return stands alone"},
    {400, "a line ends without a carriage return"},
    {400, "a header name is not a token"},
    {400, "white space stands between a header name and its colon"},
    {400, "a header line begins with white space"},
    {400, "a header value holds a control character"},
    {431, "there are too many header lines"},
    {400, "the status line is not HTTP/1.1 SP three digits"},
    {400, "the Host header is missing"},
    {400, "there is more than one Host header"},
    {400, "the host is not a name or an address with an optional port"},
    {400, "Content-Length is not a decimal number below 2^63"},
    {400, "there is more than one Content-Length"},
    {400, "Content-Length and Transfer-Encoding are both there"},
    {400, "Transfer-Encoding is not part of HTTP/1.0"},
    {400, "Transfer-Encoding is not one `chunked`, as the last coding"},
    {501, "a transfer coding other than chunked is not supported"},
    {400, "a chunk size is not a hexadecimal number of at most 16 digits"},
    {400, "a chunk extension is too long or holds a control character"},
    {400, "chunk data is not followed by CR LF"},
    {400, "the trailers are too long or malformed"},
    {400, "Connection names more than 16 options"},
}};
static_assert(static_cast<std::size_t>(Rule::connection_options) + 1 == rules.size());

}  // namespace

const RuleRow& row(Rule rule) {
    return rules[static_cast<std::size_t>(rule)];
}

bool is_token(std::string_view text) {
    for (const char c : text) {
        if (!has(c, token_character)) return false;
    }
    return !text.empty();
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
    }
    return true;
}

}  // namespace havn::http1
