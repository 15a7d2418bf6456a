// Why a method was refused, in the protocol's words: a soft code closes the channel, a hard one the
// connection.
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>

#include "wire/amqp/types.h"

namespace havn::broker {

using amqp::ReplyCode;

struct Fault {
    ReplyCode code;
    std::string text;  // begins with the code's name, as clients expect
};

using Outcome = std::expected<void, Fault>;

// refuse(ReplyCode::not_found, "no queue '{}' in vhost '/'", name)
template <class... Args>
std::unexpected<Fault> refuse(ReplyCode code, fmt::format_string<Args...> format, Args&&... args) {
    std::string text(amqp::name(code));
    text += " - ";
    fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
    return std::unexpected(Fault{code, std::move(text)});
}

}  // namespace havn::broker
