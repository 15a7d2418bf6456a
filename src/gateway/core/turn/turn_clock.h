// What time it is for everything that one thread does in one turn of its loop, and that time as text.
//
// The owner of the loop sets it once per turn. The texts are written when somebody asks, at most once for
// each millisecond or second, and stay valid until the next call.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "base/wall_time.h"

namespace havn::gateway {

class TurnClock {
  public:
    void set(Time now, WallTime wall) {
        now_ = now;
        wall_ = wall;
    }
    Time now() const { return now_; }
    WallTime wall() const { return wall_; }
    std::string_view rfc3339();    // "2026-01-31T12:00:00.123Z"
    std::string_view http_date();  // "Sat, 31 Jan 2026 12:00:00 GMT": RFC 9110 §5.6.7

  private:
    Time now_{};
    WallTime wall_{};
    std::int64_t rfc3339_of_ = -1;  // ms since the epoch
    std::int64_t date_of_ = -1;     // seconds since the epoch
    std::array<char, rfc3339_size> rfc3339_{};
    std::string date_;
};

std::string format_http_date(WallTime time);

}  // namespace havn::gateway
