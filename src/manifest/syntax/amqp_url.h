// The parts of `[broker] url`: amqp://USER:PASSWORD@HOST:PORT/VHOST, percent-encoded as RabbitMQ's clients
// read it. Left out: user and password guest, port 5672, vhost "/". amqps:// is refused: the gateway speaks
// no TLS yet.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace havn::manifest {

struct AmqpUrl {
    std::string host;
    std::uint16_t port = 5672;
    std::string user = "guest", password = "guest", vhost = "/";
    bool operator==(const AmqpUrl&) const = default;
};

Result<AmqpUrl> parse_amqp_url(std::string_view url);

}  // namespace havn::manifest
