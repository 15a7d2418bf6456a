// What a supervisor leaves behind so that the next one can take over every life after a SIGKILL at any
// moment: a base table (run/processes.json) and a journal of what changed since (run/processes.jsonl).
//
// A start is in the journal before anybody acts on it; other changes follow soon after. The journal names the
// base it belongs to; one of another base is older than what stands in it, and nothing of it counts.
// docs/formats/processes.md has both formats, and the ones before, which are read as well.
//
// Times are wall-clock milliseconds. Pure: the texts go to and come from whoever has the files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "supervisor/core/state/instance_json.h"
#include "supervisor/core/state/platform_rows.h"

namespace havn::supervisor {

struct SavedState {
    static constexpr std::uint32_t version = 2;  // of the format

    std::uint64_t base = 0;  // number of the base table; 0: of version 1
    std::uint64_t endpoints_version = 0;
    std::string run;  // unguessable; opens the handle of every life of this platform
    PlatformRows platform;
    Specifications programs;
    std::vector<Instance> instances;
};

// Error::corrupt for what cannot be used as a whole; Error::invalid for a later version.
Result<SavedState> saved_state_from_json(const Json& json);
// Takes in a journal; a line that is cut short, or that refers to what nobody knows, changes nothing. For a
// base of version 1: the lines of its run/spawned.jsonl.
void add_journal(SavedState& saved, std::string_view lines);

}  // namespace havn::supervisor
