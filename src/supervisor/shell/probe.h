// One health check of a service at its address: TCP accepts, or HTTP GET is answered with 200…399.
//
// Reads no more than the status line's first bytes (RFC 9112 §4) into a fixed buffer, and takes no longer
// than `timeout` altogether.
#pragma once

#include <optional>
#include <string>

#include "contract/supervisor.h"
#include "io/asio.h"

namespace havn::supervisor {

struct ProbeResult {
    bool healthy = false;
    std::string found;  // what was found instead: "connection refused", "HTTP 500", "no answer within 200 ms"
    bool refused = false;  // nothing listens there
};

io::Task<ProbeResult> probe(std::string address, std::optional<HealthCheck> health);

}  // namespace havn::supervisor
