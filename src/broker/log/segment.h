// What the broker remembers of the log's segments: who of their deliveries is still owed. About one bit each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/core/message/delivery_id.h"

namespace havn::broker {

// A segment's file: "0000000012-9f3c2a71.log". The number orders the log and is never used twice; the salt,
// new for every file, makes records left over from the file's former life worthless.
struct SegmentName {
    std::uint32_t number = 0;
    std::uint32_t salt = 0;

    std::string file() const;
    static std::optional<SegmentName> parse(std::string_view file);
};

struct Segment {
    SegmentName name;
    std::uint32_t deliveries = 0;               // ordinals are below this
    std::uint32_t live = 0;                     // not settled yet
    std::uint32_t end = 0;                      // bytes of records, once sealed
    bool sealed = false;                        // nothing is added any more
    bool leaving = false;                       // its removal is ordered
    bool pinned = false;                        // not to be rewritten: part of it cannot be read
    std::uint64_t sealed_at = 0;                // the tick of the log in which it was sealed
    std::uint64_t weight = 0, live_weight = 0;  // of all its deliveries, and of those not settled yet
    std::unordered_map<std::uint32_t, std::uint16_t> attempts;  // failed ones, of live deliveries
    std::vector<std::uint64_t> settled;           // a bit per ordinal; words beyond the end are zero
    std::vector<std::uint32_t> holds_settles_of;  // segments whose settle records stand here

    // What a delivery counts in deciding how much of a segment is still needed.
    static constexpr std::uint64_t weight_of(std::uint64_t body_bytes) { return body_bytes + 64; }
    std::uint64_t live_bytes() const { return weight == 0 ? 0 : end * live_weight / weight; }  // about

    bool is_settled(std::uint32_t ordinal) const {
        return ordinal / 64 < settled.size() && (settled[ordinal / 64] >> (ordinal % 64) & 1) != 0;
    }
    bool set_settled(std::uint32_t ordinal) {  // false if it was
        if (ordinal / 64 >= settled.size()) settled.resize(ordinal / 64 + 1);
        std::uint64_t& word = settled[ordinal / 64];
        const std::uint64_t bit = 1ull << (ordinal % 64);
        if ((word & bit) != 0) return false;
        word |= bit;
        return true;
    }
    void add_deliveries(std::size_t count, std::uint64_t body_bytes) {
        deliveries += static_cast<std::uint32_t>(count);
        live += static_cast<std::uint32_t>(count);
        weight += count * weight_of(body_bytes);
        live_weight += count * weight_of(body_bytes);
    }
    bool settle(std::uint32_t ordinal, std::uint64_t body_bytes) {  // false if it was
        if (!set_settled(ordinal)) return false;
        if (live > 0) --live;
        live_weight -= std::min(live_weight, weight_of(body_bytes));
        if (!attempts.empty()) attempts.erase(ordinal);
        return true;
    }

    // Settles of that segment, or attempts, stand in this one.
    void note_settles_of(std::uint32_t segment) {
        for (auto known = holds_settles_of.rbegin(); known != holds_settles_of.rend(); ++known) {
            if (*known == segment) return;
        }
        holds_settles_of.push_back(segment);
    }
};

// All segments of the log, by number; the last one is being filled. Owns them: a pointer to one is valid
// until remove() names it.
class SegmentList {
  public:
    // What recovery found, all of it sealed.
    void set(std::vector<std::unique_ptr<Segment>> segments);

    // A new last segment; its number is above every other.
    Segment& begin(SegmentName name);
    bool empty() const { return segments_.empty(); }
    Segment& current() const { return *segments_.back(); }
    Segment* find(std::uint32_t number) const;  // null: there is none of that number

    // That delivery is over. False when it is not known, or was over before.
    bool settle(DeliveryId delivery, std::uint32_t body_bytes);

    void seal_current(std::uint32_t end);
    void remove(std::uint32_t number);

    // Sealed segments of which nothing is owed any more, since the last call.
    std::vector<Segment*> take_removable() { return std::exchange(removable_, {}); }
    void offer(Segment& segment) { removable_.push_back(&segment); }
    bool any_removable() const { return !removable_.empty(); }

    // Counts the calls of Log::flush_all(), about one a second: by this the age of a segment is told.
    void tick() { ++ticks_; }
    std::uint64_t ticks() const { return ticks_; }

    const std::vector<std::unique_ptr<Segment>>& all() const { return segments_; }

  private:
    std::vector<std::unique_ptr<Segment>> segments_;
    std::vector<Segment*> removable_;
    std::uint64_t ticks_ = 0;
};

}  // namespace havn::broker
