// Choosing one of several endpoints, and forgetting for a while those that fail.
//
// Smooth weighted round robin spreads each endpoint's turns evenly; least connections takes the smallest
// ratio of requests in flight to weight, ties by round robin. `max_fails` failures within `fail_timeout` put
// an endpoint aside for `fail_timeout`; then one request tries it, and its success brings it back. When every
// endpoint is aside, the one whose pause ends first is tried all the same: a verdict must not turn a hiccup
// into an outage. (nginx does so for a single server, and answers 502 at once when several are aside.)
#pragma once

#include <cstdint>
#include <span>

#include "base/time.h"
#include "contract/gateway.h"

namespace havn::gateway {

// The balancing state of one endpoint, as one thread sees it.
struct Peer {
    std::uint64_t id = 0;  // its own for ever: an address may be that of another one later
    std::uint32_t weight = 1;
    std::uint32_t in_flight = 0;
    std::uint32_t fails = 0;   // since window_start
    std::int64_t current = 0;  // of smooth round robin
    Time window_start{};
    Time aside_until{};  // no requests before
    bool aside = false;
};

struct HealthRule {
    std::uint32_t max_fails = 3;  // 0: never put aside
    Duration fail_timeout = seconds(10);
};

// The endpoint for a request, or null when the ids of all are in `tried`. A peer returned from aside is on
// trial: it gets no second request before fail_timeout unless the first succeeds.
Peer* pick(std::span<Peer* const> peers, std::span<const std::uint64_t> tried, Balance balance,
           const HealthRule& rule, Time now);

void note_failure(Peer& peer, const HealthRule& rule, Time now);
void note_success(Peer& peer);

}  // namespace havn::gateway
