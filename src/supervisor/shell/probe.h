// One health check of a service on 127.0.0.1: TCP accepts, or HTTP GET is answered with 200…399.
//
// Reads no more than the status line's first bytes (RFC 9112 §4) into a fixed buffer, and takes no longer
// than `timeout` altogether.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/asio.h"
#include "contract/supervisor.h"

namespace havn::supervisor {

struct ProbeResult {
    bool healthy = false;
    std::string found;  // what was found instead: "connection refused", "HTTP 500", "no answer within 200 ms"
    bool refused = false;  // nothing listens there
};

io::Task<ProbeResult> probe(std::uint16_t port, std::optional<HealthCheck> health);

}  // namespace havn::supervisor
