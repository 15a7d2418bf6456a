// Which segments go: those of which nothing is owed any more, once the settles that stand in them are written
// again where they are still needed.
#pragma once

#include <cstdint>
#include <vector>

#include "broker/log/segment.h"
#include "broker/log/settlements.h"
#include "broker/log/tail.h"

namespace havn::broker {

class Removals {
  public:
    // The references outlive this. `worth_min`: what a removal gives back at least, in bytes.
    Removals(SegmentList& segments, LogTail& tail, Settlements& settlements, std::uint64_t worth_min)
        : segments_(segments), tail_(tail), settlements_(settlements), worth_min_(worth_min) {}

    // Orders, with the present batch, the removal of every segment that can go. One whose settles would cost
    // more than a quarter of what it gives back waits until another one has gone.
    void order();

    // Segments have gone: those that waited are looked at again.
    void try_again();

    bool pays(const Segment& segment) const;

  private:
    SegmentList& segments_;
    LogTail& tail_;
    Settlements& settlements_;
    const std::uint64_t worth_min_;
    std::vector<Segment*> kept_back_;  // owned by `segments_`, and there until it is removed from here
};

}  // namespace havn::broker
