// What one thread keeps from turn to turn of its loop, whatever it serves.
#pragma once

#include "gateway/core/turn/buffer.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/core/turn/ids.h"
#include "gateway/core/turn/retired.h"
#include "gateway/core/turn/turn_clock.h"

namespace havn::gateway {

struct Turn {
    Turn(Time now, WallTime wall, std::uint64_t seed) : deadlines(now), ids(seed) { clock.set(now, wall); }

    TurnClock clock;
    Deadlines deadlines;
    BufferPool buffers;
    Retired retired;
    IdGenerator ids;
};

}  // namespace havn::gateway
