// Entries that wait for the end of a back-off, by that moment; each with its place in the backlog.
//
// Owns the entries. Moments are milliseconds of the turn's clock.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "broker/core/message/backlog.h"

namespace havn::broker {

class DelayedEntries {
  public:
    std::uint64_t count() const { return entries_.size(); }
    std::uint64_t bytes() const { return bytes_; }  // of bodies
    Milliseconds first_due() const { return entries_.empty() ? never : entries_.begin()->first; }

    void add(Milliseconds due, LanePlace place, Entry entry) {
        bytes_ += entry.size;
        entries_.emplace(due, Delayed{place, std::move(entry)});
    }

    // The first one, removed. There is one: first_due() is not `never`.
    std::pair<LanePlace, Entry> take_first() {
        const auto first = entries_.begin();
        std::pair<LanePlace, Entry> taken{first->second.place, std::move(first->second.entry)};
        entries_.erase(first);
        bytes_ -= taken.second.size;
        return taken;
    }

  private:
    struct Delayed {
        LanePlace place;
        Entry entry;
    };

    std::multimap<Milliseconds, Delayed> entries_;
    std::uint64_t bytes_ = 0;
};

}  // namespace havn::broker
