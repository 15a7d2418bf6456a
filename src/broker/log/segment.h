// What the broker remembers of one segment of the log: who of its deliveries is still owed. About one bit
// each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
    std::uint32_t deliveries = 0;                 // ordinals are below this
    std::uint32_t live = 0;                       // not settled yet
    std::uint32_t end = 0;                        // bytes of records, once sealed
    bool sealed = false;                          // nothing is added any more
    bool leaving = false;                         // its removal is ordered
    std::vector<std::uint64_t> settled;           // a bit per ordinal; words beyond the end are zero
    std::vector<std::uint32_t> holds_settles_of;  // segments whose settle records stand here

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
    void note_settles_of(std::uint32_t segment) {
        for (auto known = holds_settles_of.rbegin(); known != holds_settles_of.rend(); ++known) {
            if (*known == segment) return;
        }
        holds_settles_of.push_back(segment);
    }
};

}  // namespace havn::broker
