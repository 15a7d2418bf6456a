// What a new supervisor does with each life of the one before: the decisions of a take-over, apart from who
// asks the kernel and who starts things.
//
// The order is part of it, for the supervisor may die at any point of it and another one begins anew:
//   1. what was saved is read, base and journal (saved_state.h);
//   2. each instance is adopted: by the runtime, which says whether its life goes on, and by the table;
//   3. what the run began and nobody wrote down is ended;
//   4. a base is written: from here on the journal is this supervisor's;
//   5. the accepted configuration is applied, the lives that ended meanwhile are reported, and effects are
//      performed.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "supervisor/core/process_table.h"
#include "supervisor/core/runtime.h"
#include "supervisor/core/state/saved_state.h"

namespace havn::supervisor {

// Endpoints are numbered on beyond what was sent and not written down any more.
inline constexpr std::uint64_t endpoint_versions_skipped = 1'000'000;

// How a process ended while there was no supervisor, where anybody saw it.
using ExitOf = std::function<std::optional<Exit>(int pid)>;

class Adoption {
  public:
    // Both outlive this object. Steps 2 and 3.
    Adoption(ProcessTable& table, Runtime& runtime) : table_(table), runtime_(runtime) {}

    // Adopts every instance. `is_connected` says of a part that lives whether its link is still there:
    // without one it is of no use, and is ended.
    void adopt(const SavedState& saved, Moment now, const std::function<bool(const Instance&)>& is_connected);

    // The last part of step 5: tells the table of the lives that were over.
    void report_ends(const ExitOf& exit_of, Moment now);

    std::size_t alive() const { return alive_; }

  private:
    struct Ended {
        InstanceId instance;
        int pid;
    };

    ProcessTable& table_;
    Runtime& runtime_;
    std::vector<Ended> ended_;
    std::size_t alive_ = 0;
};

}  // namespace havn::supervisor
