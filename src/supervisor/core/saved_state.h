// What a supervisor leaves behind at every change (run/processes.json), so that the next one can take over
// each process after a SIGKILL. Times are wall-clock milliseconds; a specification shared by units is written
// once.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "supervisor/core/fleet.h"
#include "supervisor/core/row_cache.h"

namespace havn::supervisor {

struct SavedState {
    std::uint64_t endpoints_version = 0;
    std::string run;  // unguessable; opens the cookie of every process of this platform
    std::vector<Unit> units;
};

// `platform` is kept with it as it is. `rows`: of the times before.
std::string saved_text(const Fleet& fleet, const std::string& run, const Json& platform, RowCache& rows);

// The table is written with some distance between two times; a process that is started in between is noted at
// once, in a line of its own: who takes over must know its pid.
std::string spawned_line(const Unit& unit);
// Lines of starts since the table was written; a line that is cut short, or about a unit the table does not
// know, changes nothing.
void add_spawned(SavedState& saved, std::string_view lines);
Result<SavedState> saved_state_from_json(const Json& json);

}  // namespace havn::supervisor
