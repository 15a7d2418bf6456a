// Choosing one of several endpoints, and forgetting for a while those that fail.
//
// Smooth weighted round robin spreads each endpoint's turns evenly; least connections takes the smallest
// ratio of requests in flight to weight, ties by round robin. `max_fails` failures within `fail_timeout`
// eject an endpoint for `fail_timeout`; then one request tries it, and its success brings it back. When every
// endpoint is ejected, the one whose ejection ends first is tried all the same: a verdict must not turn a
// hiccup into an outage. (nginx does so for a single server, and answers 502 at once when several are out.)
#pragma once

#include <cstdint>
#include <span>

#include "base/time.h"
#include "contract/gateway.h"

namespace havn::gateway {

// What the balancer knows of one endpoint, as one thread sees it.
struct Candidate {
    std::uint64_t id = 0;  // its own for ever: an address may be that of another one later
    std::uint32_t weight = 1;
    std::uint32_t in_flight = 0;
    std::uint32_t fails = 0;   // since window_start
    std::int64_t current = 0;  // of smooth round robin
    Time window_start{};
    Time ejected_until{};  // no requests before
    bool ejected = false;
};

struct HealthRule {
    std::uint32_t max_fails = 3;  // 0: never ejected
    Duration fail_timeout = seconds(10);
};

// The endpoint for a request, or null when the ids of all are in `tried`. One whose ejection is over is on
// trial: it gets no second request before fail_timeout unless the first succeeds.
Candidate* pick(std::span<Candidate* const> candidates, std::span<const std::uint64_t> tried, Balance balance,
                const HealthRule& rule, Time now);

void note_failure(Candidate& candidate, const HealthRule& rule, Time now);
void note_success(Candidate& candidate);

}  // namespace havn::gateway
