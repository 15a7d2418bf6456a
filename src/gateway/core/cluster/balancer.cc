#include "gateway/core/cluster/balancer.h"

#include <algorithm>

namespace havn::gateway {

namespace {

bool was_tried(std::span<const std::uint64_t> tried, const Candidate* candidate) {
    return std::ranges::find(tried, candidate->id) != tried.end();
}

bool less_loaded(const Candidate& a, const Candidate& b) {
    return std::uint64_t{a.in_flight} * b.weight < std::uint64_t{b.in_flight} * a.weight;
}

Candidate* first_to_come_back(std::span<Candidate* const> candidates, std::span<const std::uint64_t> tried) {
    Candidate* best = nullptr;
    for (Candidate* candidate : candidates) {
        if (was_tried(tried, candidate)) continue;
        if (!best || candidate->ejected_until < best->ejected_until) best = candidate;
    }
    return best;
}

}  // namespace

Candidate* pick(std::span<Candidate* const> candidates, std::span<const std::uint64_t> tried, Balance balance,
                const HealthRule& rule, Time now) {
    const auto usable = [&](const Candidate* candidate) {
        return !(candidate->ejected && now < candidate->ejected_until) && !was_tried(tried, candidate);
    };
    Candidate* lightest = nullptr;
    if (balance == Balance::least_connections) {
        for (Candidate* candidate : candidates) {
            if (usable(candidate) && (!lightest || less_loaded(*candidate, *lightest))) lightest = candidate;
        }
    }
    Candidate* best = nullptr;
    std::int64_t total = 0;
    for (Candidate* candidate : candidates) {
        if (!usable(candidate) || (lightest && less_loaded(*lightest, *candidate))) continue;
        candidate->current += candidate->weight;
        total += candidate->weight;
        if (!best || candidate->current > best->current) best = candidate;
    }
    if (best) best->current -= total;
    if (!best) best = first_to_come_back(candidates, tried);
    if (best && best->ejected) best->ejected_until = now + rule.fail_timeout;
    return best;
}

void note_failure(Candidate& candidate, const HealthRule& rule, Time now) {
    if (rule.max_fails == 0) return;
    if (candidate.fails == 0 || now - candidate.window_start > rule.fail_timeout) {
        candidate.fails = 0;
        candidate.window_start = now;
    }
    ++candidate.fails;
    if (candidate.fails >= rule.max_fails || candidate.ejected) {
        candidate.ejected = true;
        candidate.ejected_until = now + rule.fail_timeout;
    }
}

void note_success(Candidate& candidate) {
    if (!candidate.ejected) return;
    candidate.ejected = false;
    candidate.fails = 0;
}

}  // namespace havn::gateway
