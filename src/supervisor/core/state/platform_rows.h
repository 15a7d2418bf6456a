// The two processes that no process table has, the keeper and the supervisor itself: kept with the saved
// state, so that their restarts are counted.
#pragma once

#include <cstdint>

#include "base/json.h"
#include "base/time.h"

namespace havn::supervisor {

struct PlatformRows {
    struct Row {
        int pid = 0;
        std::uint32_t restarts = 0;
        WallTime since{};
    };
    Row keeper;
    Row supervisor;

    // The rows of a supervisor that follows this one; a keeper with another pid is a new one.
    PlatformRows next(int keeper_pid, int supervisor_pid, WallTime now) const;
};

Json to_json(const PlatformRows& rows);
PlatformRows platform_rows_from_json(const Json& json);  // what is missing or odd counts as new

}  // namespace havn::supervisor
