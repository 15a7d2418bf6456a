// The messages of a queue that wait: one lane per priority, each first in, first out.
//
// A message's place is its number in its lane. What comes back unacknowledged returns to its place, which is
// always before everything not yet taken.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "broker/core/message/entry.h"

namespace havn::broker {

struct LanePlace {
    std::uint64_t number = 0;  // within the lane entry.priority names
};

class Backlog {
  public:
    explicit Backlog(std::uint8_t priority_max) : lanes_(priority_max + 1u) {}

    bool empty() const { return count_ == 0; }
    std::uint64_t count() const { return count_; }
    std::uint64_t bytes() const { return bytes_; }  // of bodies

    void push(Entry entry);                       // a priority above the highest lane counts as that
    void put_back(LanePlace place, Entry entry);  // to where take() found it
    const Entry& front() const;                   // the next to be delivered
    Entry take(LanePlace& place);                 // front(), removed
    Entry take_eldest(LanePlace& place);          // the next to be dropped: lowest priority, oldest

  private:
    struct Lane {
        std::deque<Entry> fresh;                  // never taken; the first has number `next`
        std::map<std::uint64_t, Entry> returned;  // all numbers below `next`
        std::uint64_t next = 0;

        bool empty() const { return fresh.empty() && returned.empty(); }
        const Entry& front() const { return returned.empty() ? fresh.front() : returned.begin()->second; }
    };

    Entry take_from(Lane& lane, LanePlace& place);
    std::size_t highest() const;
    std::size_t lowest() const;

    std::vector<Lane> lanes_;
    std::uint64_t count_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace havn::broker
