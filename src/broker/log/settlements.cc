#include "broker/log/settlements.h"

#include <algorithm>
#include <span>

namespace havn::broker {
namespace {

constexpr std::size_t runs_per_record = 4096;

// Calls write(part) for each part of `all` that fits into one record.
template <class Entry, class Write>
void in_parts(const std::vector<Entry>& all, Write write) {
    for (std::size_t at = 0; at < all.size(); at += runs_per_record) {
        write(std::span(all).subspan(at, std::min(runs_per_record, all.size() - at)));
    }
}

}  // namespace

void Settlements::note_attempts(DeliveryId delivery, std::uint32_t attempts) {
    Segment* const segment = segments_.find(delivery.segment);
    if (!segment || delivery.ordinal >= segment->deliveries || segment->is_settled(delivery.ordinal)) return;
    segment->attempts[delivery.ordinal] = static_cast<std::uint16_t>(std::min(attempts, 0xFFFFu));
    attempted_.push_back(delivery);
}

void Settlements::emit() {
    emit_settled();
    emit_attempts();
}

void Settlements::emit_settled() {
    if (settled_.empty()) return;
    if (!std::ranges::is_sorted(settled_)) std::ranges::sort(settled_);
    runs_.clear();
    for (const DeliveryId& settled : settled_) {
        if (!runs_.empty() && runs_.back().segment == settled.segment &&
            runs_.back().first + runs_.back().count == settled.ordinal) {
            ++runs_.back().count;
        } else {
            runs_.push_back({settled.segment, settled.ordinal, 1});
        }
    }
    settled_.clear();
    in_parts(runs_, [&](std::span<const Run> part) {
        tail_.make_room(settle_bytes(part.size()));
        for (const Run& run : part) tail_.segment().note_settles_of(run.segment);
        tail_.put_record(settle_bytes(part.size()),
                         [&](ByteBuffer& out, Place at) { add_settle(out, at, part); });
    });
}

void Settlements::emit_attempts() {
    if (attempted_.empty()) return;
    attempts_.clear();
    for (const DeliveryId& delivery : attempted_) {
        const Segment* const segment = segments_.find(delivery.segment);
        if (!segment) continue;
        const auto known = segment->attempts.find(delivery.ordinal);  // none: it was settled since
        if (known != segment->attempts.end()) attempts_.push_back({delivery, known->second});
    }
    attempted_.clear();
    in_parts(attempts_, [&](std::span<const AttemptsOf> part) {
        tail_.make_room(attempts_bytes(part.size()));
        for (const AttemptsOf& of : part) tail_.segment().note_settles_of(of.delivery.segment);
        tail_.put_record(attempts_bytes(part.size()),
                         [&](ByteBuffer& out, Place at) { add_attempts(out, at, part); });
    });
}

bool Settlements::outlives(const Segment& leaving, std::uint32_t number) const {
    const Segment* const of = segments_.find(number);
    return of && of != &leaving && !of->leaving;
}

std::uint64_t Settlements::bytes_to_carry(const Segment& leaving) const {
    std::uint64_t bytes = 0;
    for (const std::uint32_t number : leaving.holds_settles_of) {
        if (!outlives(leaving, number)) continue;
        const Segment& of = *segments_.find(number);
        bytes += settled_set_bytes(of.settled) + attempts_bytes(of.attempts.size());
    }
    return bytes;
}

void Settlements::carry(const Segment& leaving) {
    for (const std::uint32_t number : leaving.holds_settles_of) {
        if (!outlives(leaving, number)) continue;
        const Segment& of = *segments_.find(number);
        tail_.make_room(settled_set_bytes(of.settled));
        tail_.segment().note_settles_of(number);
        tail_.put_record(settled_set_bytes(of.settled),
                         [&](ByteBuffer& out, Place at) { add_settled_set(out, at, number, of.settled); });
        for (const auto& [ordinal, attempts] : of.attempts) attempted_.push_back({number, ordinal});
    }
    emit_attempts();
}

}  // namespace havn::broker
