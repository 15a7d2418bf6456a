#include "gateway/core/balancer.h"

#include <algorithm>

namespace havn::gateway {

static bool was_tried(std::span<const std::uint64_t> tried, const Peer* peer) {
    return std::ranges::find(tried, peer->id) != tried.end();
}

static bool less_loaded(const Peer& a, const Peer& b) {
    return std::uint64_t{a.in_flight} * b.weight < std::uint64_t{b.in_flight} * a.weight;
}

static Peer* first_to_return(std::span<Peer* const> peers, std::span<const std::uint64_t> tried) {
    Peer* best = nullptr;
    for (Peer* peer : peers) {
        if (was_tried(tried, peer)) continue;
        if (!best || peer->aside_until < best->aside_until) best = peer;
    }
    return best;
}

Peer* pick(std::span<Peer* const> peers, std::span<const std::uint64_t> tried, Balance balance,
           const HealthRule& rule, Time now) {
    const auto usable = [&](const Peer* peer) {
        return !(peer->aside && now < peer->aside_until) && !was_tried(tried, peer);
    };
    Peer* lightest = nullptr;
    if (balance == Balance::least_connections) {
        for (Peer* peer : peers) {
            if (usable(peer) && (!lightest || less_loaded(*peer, *lightest))) lightest = peer;
        }
    }
    Peer* best = nullptr;
    std::int64_t total = 0;
    for (Peer* peer : peers) {
        if (!usable(peer) || (lightest && less_loaded(*lightest, *peer))) continue;
        peer->current += peer->weight;
        total += peer->weight;
        if (!best || peer->current > best->current) best = peer;
    }
    if (best) best->current -= total;
    if (!best) best = first_to_return(peers, tried);
    if (best && best->aside) best->aside_until = now + rule.fail_timeout;
    return best;
}

void note_failure(Peer& peer, const HealthRule& rule, Time now) {
    if (rule.max_fails == 0) return;
    if (peer.fails == 0 || now - peer.window_start > rule.fail_timeout) {
        peer.fails = 0;
        peer.window_start = now;
    }
    ++peer.fails;
    if (peer.fails >= rule.max_fails || peer.aside) {
        peer.aside = true;
        peer.aside_until = now + rule.fail_timeout;
    }
}

void note_success(Peer& peer) {
    if (!peer.aside) return;
    peer.aside = false;
    peer.fails = 0;
}

}  // namespace havn::gateway
