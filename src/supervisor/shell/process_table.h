// The process table as control and `havn ps` show it.
#pragma once

#include "base/json.h"
#include "supervisor/core/fleet.h"

namespace havn::supervisor {

// The two processes that no fleet knows. Kept in the state file, so that their restarts are counted.
struct PlatformRows {
    struct Row {
        int pid = 0;
        std::uint32_t restarts = 0;
        WallTime since{};
    };
    Row keeper;
    Row supervisor;
};

Json to_json(const PlatformRows& rows);
PlatformRows platform_rows_from_json(const Json& json);  // what is missing or odd counts as new

// {name, instance, kind, pid, state, restarts, since, error?, port?, exit?}, parts first, then by name.
Json process_table(const Fleet& fleet, const PlatformRows& rows);

std::string to_rfc3339(WallTime time);  // UTC, milliseconds

}  // namespace havn::supervisor
