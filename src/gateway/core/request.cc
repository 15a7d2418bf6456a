#include "gateway/core/request.h"

#include "wire/http1/characters.h"

namespace havn::gateway {

using http1::Field;
using http1::Header;

std::string_view brought_request_id(std::span<const Header> headers) {
    const Header* found = nullptr;
    for (const Header& header : headers) {
        if (header.field != Field::x_request_id) continue;
        if (found) return {};
        found = &header;
    }
    if (!found || found->value.empty() || found->value.size() > 128) return {};
    for (const char c : found->value) {
        if (!http1::has(c, http1::token_character) && c != '/' && c != '=') return {};
    }
    return found->value;
}

unsigned times_seen(std::span<const Header> headers) {
    unsigned times = 0;
    for (const Header& header : headers) {
        if (header.field != Field::via) continue;
        http1::for_each_item(header.value, [&](std::string_view item) {
            const std::size_t space = item.find(' ');
            times += space != std::string_view::npos && item.substr(space + 1) == via_name;
        });
    }
    return times;
}

bool is_event_stream(const http1::ResponseHead& head) {
    constexpr std::string_view type = "text/event-stream";
    for (const Header& header : head.headers) {
        if (header.field != Field::content_type) continue;
        const std::string_view value = header.value.substr(0, header.value.find(';'));
        const std::size_t end = value.find_last_not_of(" \t");
        return http1::equal_ignoring_case(value.substr(0, end == value.npos ? 0 : end + 1), type);
    }
    return false;
}

}  // namespace havn::gateway
