#include "amqp/client/errors.h"

#include <fmt/format.h>

#include <optional>

#include "wire/amqp/methods.h"

namespace havn::amqp::client {

std::unexpected<Error> unexpected_bytes(std::string_view what) {
    return fail(Error::Kind::unavailable, fmt::format("it does not speak AMQP 0-9-1 as expected: {}", what));
}

Error closed_by_broker(std::string_view arguments) {
    const std::optional<ConnectionClose> close = decode<ConnectionClose>(arguments);
    if (!close) return {Error::Kind::unavailable, "closed by the broker", {}};
    const std::string why =
        fmt::format("closed by the broker: {} {}", close->reply_code, printable(close->reply_text));
    switch (static_cast<ReplyCode>(close->reply_code)) {
        case ReplyCode::not_found:
            return {Error::Kind::not_found, why, {}};
        case ReplyCode::access_refused:
        case ReplyCode::not_allowed:
            return {Error::Kind::denied, why, {}};
        case ReplyCode::resource_locked:
        case ReplyCode::precondition_failed:
            return {Error::Kind::conflict, why, {}};
        default:
            return {Error::Kind::unavailable, why, {}};
    }
}

std::string printable(std::string_view text) {
    std::string shown(text);
    for (char& c : shown) {
        if (c < ' ' || c > '~') c = '?';
    }
    return shown;
}

}  // namespace havn::amqp::client
