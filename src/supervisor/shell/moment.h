// Both clocks at the present moment, for the process table.
#pragma once

#include "io/clock.h"
#include "supervisor/core/instance.h"

namespace havn::supervisor {

inline Moment moment() {
    return {io::now(), io::wall_now()};
}

}  // namespace havn::supervisor
