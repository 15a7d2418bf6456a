// Time is an argument. io/clock.h reads the clocks; everything else is told.
#pragma once

#include <chrono>

namespace havn {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;  // monotonic: deadlines, back-off, intervals
using Duration = Clock::duration;
using WallTime = std::chrono::system_clock::time_point;  // for people and for message expiry across restarts
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace havn
