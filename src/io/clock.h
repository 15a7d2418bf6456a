// The only reader of the clocks. A loop turn reads once and passes the value down: see base/time.h.
#pragma once

#include "base/time.h"

namespace havn::io {

inline Time now() {
    return Clock::now();
}
inline WallTime wall_now() {
    return std::chrono::system_clock::now();
}

}  // namespace havn::io
