#include "manifest/syntax/forms.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "base/text/ascii.h"
#include "manifest/syntax/amqp_url.h"

namespace havn::manifest {

namespace {

bool is_visible(char c) {
    return c > ' ' && c < 0x7f;
}

template <class Allowed>
bool all(std::string_view text, Allowed allowed) {
    return std::all_of(text.begin(), text.end(), allowed);
}

bool is_address(int family, std::string_view text) {
    std::array<unsigned char, sizeof(in6_addr)> parsed{};
    if (text.contains('\0')) return false;
    return inet_pton(family, std::string(text).c_str(), parsed.data()) == 1;
}

// A whole number from `min` to `max` without sign or leading zero.
bool is_number(std::string_view text, int min, int max) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    return number >= min && number <= max && is_ascii_digit(text[0]) && (text[0] != '0' || text.size() == 1);
}

bool is_label(std::string_view label) {
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           all(label, [](char c) { return is_ascii_alphanumeric(c) || c == '-'; });
}

}  // namespace

std::string_view trimmed(std::string_view text) {
    static constexpr std::string_view blanks = " \t\r\f\v";
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool is_queue_name(std::string_view text) {
    const auto inner = [](char c) {
        return is_ascii_alphanumeric(c) || c == '.' || c == '_' || c == '-' || c == ':';
    };
    return !text.empty() && text.size() <= 200 && !text.starts_with("amq.") && all(text, inner);
}

bool is_listen_address(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos || !is_number(text.substr(colon + 1), 1, 65'535)) return false;
    std::string_view host = text.substr(0, colon);
    if (!host.starts_with('[')) return is_address(AF_INET, host);
    if (!host.ends_with(']')) return false;
    return is_address(AF_INET6, host.substr(1, host.size() - 2));
}

bool is_cidr(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::string_view host = text.substr(0, slash);
    const bool v4 = is_address(AF_INET, host);
    if (!v4 && !is_address(AF_INET6, host)) return false;
    return slash == text.npos || is_number(text.substr(slash + 1), 0, v4 ? 32 : 128);
}

bool is_text(std::string_view text) {
    return !text.empty() &&
           all(text, [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7f; });
}

bool is_command(std::string_view text) {
    return text.find_first_not_of(" \t") != text.npos &&
           all(text, [](char c) { return c != '\n' && c != '\r' && c != '\0'; });
}

bool is_user(std::string_view text) {
    const auto inner = [](char c) { return is_ascii_alphanumeric(c) || c == '_' || c == '-' || c == '.'; };
    return !text.empty() && text.size() <= 32 && text[0] != '-' && all(text, inner);
}

bool is_variable(std::string_view text) {
    return !text.empty() && !is_ascii_digit(text[0]) &&
           all(text, [](char c) { return is_ascii_alphanumeric(c) || c == '_'; });
}

bool is_jurisdiction(std::string_view text) {
    return text.size() == 2 && all(text, is_ascii_upper);
}

bool is_method(std::string_view text) {
    return !text.empty() && text.size() <= 32 &&
           all(text, [](char c) { return is_ascii_upper(c) || c == '-'; });
}

bool is_header_name(std::string_view text) {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    const auto token = [&](char c) { return is_ascii_alphanumeric(c) || marks.contains(c); };
    return !text.empty() && text.size() <= 128 && all(text, token);
}

bool is_request_path(std::string_view text) {
    return text.starts_with('/') && text.size() <= 1'024 && all(text, is_visible);
}

bool is_amqp_url(std::string_view text) {
    return parse_amqp_url(text).has_value();
}

bool is_host(std::string_view text) {
    if (text.size() > 253) return false;
    if (text.starts_with("*.")) text.remove_prefix(2);
    while (true) {
        const std::size_t dot = text.find('.');
        if (!is_label(text.substr(0, dot))) return false;
        if (dot == text.npos) return true;
        text.remove_prefix(dot + 1);
    }
}

namespace {

// "%C3": the only way to write such a byte, since a path is visible ASCII.
bool is_escape_beyond_ascii(std::string_view text) {
    constexpr std::string_view hex = "0123456789abcdefABCDEF";
    return text.size() == 3 && text.front() == '%' && hex.find(text[1]) != hex.npos && text[1] >= '8' &&
           hex.find(text[2]) != hex.npos;
}

}  // namespace

bool is_route_path(std::string_view text) {
    if (!text.starts_with('/') || text.size() > 1'024) return false;
    if (!all(text, [](char c) { return is_visible(c) && c != '?' && c != '#' && c != '*'; })) return false;
    if (text.ends_with('/')) text.remove_suffix(1);
    while (!text.empty()) {
        text.remove_prefix(1);
        const std::string_view segment = text.substr(0, text.find('/'));
        if (segment.empty() || segment == "." || segment == "..") return false;
        text.remove_prefix(segment.size());
    }
    return true;
}

// Requests are matched decoded, and what readers of paths disagree on cannot be a rule.
bool is_plainly_written_path(std::string_view text) {
    if (text.find_first_of(";\\") != text.npos) return false;
    for (std::size_t at = text.find('%'); at != text.npos; at = text.find('%', at + 1)) {
        if (!is_escape_beyond_ascii(text.substr(at, 3))) return false;
    }
    return true;
}

}  // namespace havn::manifest
