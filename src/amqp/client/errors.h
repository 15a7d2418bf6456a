// Why a connection or a channel of a client ended, in words for a log or a person.
//
// Whatever a broker wrote is shown as printable ASCII. The kind of an error says what its receiver does about
// it: denied and invalid are not tried again as they are, unavailable is.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace havn::amqp::client {

// A broker that sends what AMQP does not foresee.
std::unexpected<Error> unexpected_bytes(std::string_view what);

// From the arguments of connection.close or channel.close.
Error closed_by_broker(std::string_view arguments);

// What is not printable ASCII becomes '?'.
std::string printable(std::string_view text);

}  // namespace havn::amqp::client
