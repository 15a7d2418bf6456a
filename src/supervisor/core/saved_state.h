// What a supervisor leaves behind at every change (run/processes.json), so that the next one can take over
// each process after a SIGKILL. Times are wall-clock milliseconds; a specification shared by units is written
// once.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "supervisor/core/fleet.h"

namespace havn::supervisor {

struct SavedState {
    std::uint64_t endpoints_version = 0;
    std::string run;  // unguessable; opens the cookie of every process of this platform
    std::vector<Unit> units;
};

Json to_json(const Fleet& fleet, const std::string& run);
Result<SavedState> saved_state_from_json(const Json& json);

}  // namespace havn::supervisor
