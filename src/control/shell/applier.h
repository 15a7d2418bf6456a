// Makes a manifest the configuration in force: whole, or not at all.
//
// The order is: compile, write and sync a revision, ask the supervisor to accept it (it opens the listening
// sockets and may refuse), point `current` at it, tell gateway and broker. One change at a time; the next one
// waits.
#pragma once

#include <optional>
#include <string>

#include "control/core/wanted.h"
#include "control/shell/applied.h"
#include "control/shell/parts.h"
#include "control/shell/supervisor_link.h"
#include "control/shell/turn.h"
#include "manifest/plan.h"

namespace havn::control {

// Where a revision comes from, for the supervisor: it looks there who wrote it.
Json origin_of(const Revision& revision);

struct Outcome {
    manifest::Plan plan;
    bool changed = false;
    std::uint64_t revision = 0;
    Json before;  // the table of processes when it was asked for
};

class Applier {
  public:
    Applier(io::Executor executor, std::string applied_folder, SupervisorLink& supervisor, Parts& parts)
        : applied_(std::move(applied_folder)),
          supervisor_(supervisor),
          parts_(parts),
          turn_(executor, turn_timeout) {}

    // At start: what was accepted last holds again, should somebody have missed it.
    Task<Result<>> resume();

    const std::optional<Revision>& current() const { return current_; }
    manifest::Plan plan(const manifest::Manifest& wanted) const;

    // `force`: accept it anew though nothing changes. Whoever comes while another change is made waits for
    // its turn, in the order of coming, at most `turn_timeout`; then Error::unavailable.
    Task<Result<Outcome>> apply(Wanted wanted, bool force);

  private:
    static constexpr Duration turn_timeout = seconds(45);

    Task<Result<Outcome>> apply_alone(Wanted wanted, bool force);
    Result<Revision> prepare(Wanted wanted, const std::map<std::string, std::string>& listeners) const;
    Result<std::map<std::string, std::string>> choose_listeners(const manifest::Manifest& wanted) const;
    Task<Result<>> accept(Revision revision);

    Applied applied_;
    SupervisorLink& supervisor_;
    Parts& parts_;
    std::optional<Revision> current_;
    Turn turn_;
    mutable std::uint16_t next_port_ = 0;
};

}  // namespace havn::control
