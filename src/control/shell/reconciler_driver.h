// Performs what the Reconciler (core/reconciler.h) decides, and tells it how that ended: the stores, free
// ports, the supervisor, gateway and broker.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "control/core/reconciler.h"
#include "control/core/revision_store.h"
#include "control/shell/component_files.h"
#include "control/shell/component_link.h"
#include "control/shell/supervisor_link.h"
#include "io/asio.h"

namespace havn::control {

class ReconcilerDriver {
  public:
    // What it works with, each owned by the process and outliving it.
    struct Surroundings {
        RevisionStore& revisions;
        ScaleStore& scales;
        ComponentFiles& files;
        SupervisorLink& supervisor;
        ComponentLink& components;
    };
    ReconcilerDriver(io::Executor executor, Surroundings surroundings)
        : executor_(executor), surroundings_(surroundings), alarm_(executor), resumed_(executor) {}

    // At start: what was accepted last holds again, should somebody have missed it. Returns what the
    // supervisor first said to it; while it says nothing it is asked again, in keep_time().
    Task<Result<>> resume();

    // Expires who waits too long and repeats what has to be repeated, for ever.
    Task<void> keep_time();

    // How a change ended, and the table of processes when it began.
    struct Accepted {
        Outcome outcome;
        Json before;
    };
    Task<Result<Accepted>> change(Change change);

    const Reconciler& state() const { return reconciler_; }

  private:
    struct Waiter {
        explicit Waiter(io::Timer made) : timer(std::move(made)) {}
        io::Timer timer;  // cancelled with the reply
        std::optional<Result<Outcome>> reply;
        Json before;
    };

    Result<> load(Effects& effects);
    void perform(Effects effects);
    void perform(Begin& effect, Effects& more);
    void perform(ChoosePlacement& effect, Effects& more);
    void perform(WriteDraft& effect, Effects& more);
    void perform(DropDraft& effect, Effects& more);
    void perform(AskSupervisor& effect, Effects& more);
    void perform(Commit& effect, Effects& more);
    void perform(Announce& effect, Effects& more);
    void perform(Reply& effect, Effects& more);
    Result<Placement> choose(const ChoosePlacement& wanted);
    Task<void> ask(std::uint64_t question, Json arguments);

    io::Executor executor_;
    Surroundings surroundings_;
    Reconciler reconciler_;
    std::deque<Effect> pending_;
    bool performing_ = false;
    std::map<Ticket, std::shared_ptr<Waiter>> waiting_;
    io::Timer alarm_;    // of the reconciler's deadline
    io::Timer resumed_;  // cancelled with the first answer of the supervisor
    std::optional<Result<>> first_answer_;
    std::uint16_t next_port_ = 0;
};

}  // namespace havn::control
