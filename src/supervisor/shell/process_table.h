// The process table as control and `havn ps` show it.
#pragma once

#include "base/json.h"
#include "supervisor/core/fleet.h"
#include "supervisor/core/row_cache.h"

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

// A list in JSON, one row per unit, parts first, then by name (`cache`: of the times before):
//   name, instance, kind, pid, state, restarts
//   since          start of the present life; without one, when the state was entered
//   state_since    when the present state was entered
//   error?         why there is no good life at present
//   reason?        why the present life followed the one before
//   exit?, exit_code? | exit_signal?, exited_at?, uptime_ms?   how, when and after what time the last life
//                  ended; kept while the next one is ready
//   waits_for?     in state waiting: the programs of which no instance is ready yet
//   retry_at?      in state backoff: when the next start is due
//   failing?       true while its lives end so often that starts are held back, also in the midst of a life
//   port?          of a service that has a process
std::string process_table(const Fleet& fleet, const PlatformRows& rows, RowCache& cache);

}  // namespace havn::supervisor
