// When publishers are held back for want of memory, and whose connections are ended when that does not help.
//
// Pure decisions on numbers: an alarm begins above the limit and ends clearly below it. Messages of which a
// part has come, and what clients leave unread, hold memory that nobody can free by consuming, while
// publishers are held back by the alarm; where it is they that keep the alarm up for ten seconds, the largest
// holders lose their connections. Bytes, and milliseconds of the turn's clock.
#pragma once

#include <cstdint>
#include <vector>

#include "broker/core/message/turn_clock.h"

namespace havn::broker {

class MemoryPolicy {
  public:
    // True: the alarm has begun or is over.
    bool update(std::uint64_t used, std::uint64_t limit, Milliseconds now);
    bool alarm() const { return alarm_; }

    Milliseconds shed_at() const { return shed_at_; }  // when to ask choose_to_shed(); `never`: no alarm
    // What each connection holds for good, in any order. Returns the places in that list of those to end,
    // largest first: as many as bring the use below the end of the alarm.
    std::vector<std::size_t> choose_to_shed(const std::vector<std::uint64_t>& stuck_bytes, std::uint64_t used,
                                            std::uint64_t limit, Milliseconds now);

  private:
    bool alarm_ = false;
    Milliseconds shed_at_ = never;
};

}  // namespace havn::broker
