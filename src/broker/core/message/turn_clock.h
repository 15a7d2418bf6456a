// The time as of the call from outside that is being served. The core reads no clock: it is told.
//
// Milliseconds are those of the monotonic clock; the wall clock is kept as an offset from it, so that both
// move together between two calls of set().
#pragma once

#include <chrono>
#include <cstdint>

#include "base/time.h"

namespace havn::broker {

using Milliseconds = std::int64_t;  // on the monotonic clock, or a duration
inline constexpr Milliseconds never = (Milliseconds{1} << 42) - 1;

using WallMilliseconds = std::int64_t;  // since 1970

class TurnClock {
  public:
    TurnClock(Time now, WallTime wall) { set(now, wall); }

    Milliseconds now() const { return now_; }
    WallTime wall() const { return WallTime(wall_offset_ + milliseconds(now_)); }
    WallMilliseconds wall_milliseconds() const {
        return std::chrono::floor<milliseconds>(wall().time_since_epoch()).count();
    }

    void set(Time now) { now_ = std::chrono::floor<milliseconds>(now.time_since_epoch()).count(); }
    void set(Time now, WallTime wall) {
        set(now);
        wall_offset_ = wall.time_since_epoch() - milliseconds(now_);
    }

  private:
    Milliseconds now_ = 0;
    WallTime::duration wall_offset_{};
};

}  // namespace havn::broker
