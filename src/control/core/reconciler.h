// The decisions by which a manifest, or a number of instances, becomes the configuration in force: whole, or
// not at all, one change at a time.
//
// Pure: it takes events and returns what is to be done. Whoever performs an effect tells how that ended, with
// the event that the effect names, before anything else happens to the change. An apply goes through these
// steps, a change of scale through those from `asking` on:
//
//   placing      new services get a loopback address that is free          ChoosePlacement    placed()
//   drafting     the revision is written and synced, and what the parts    WriteDraft         drafted()
//                read at start beside it; nothing of it counts yet
//   asking       the supervisor accepts it (opening sockets) or refuses    AskSupervisor      answered()
//   committing   the revision becomes the current one                      Commit             committed()
//
// and then gateway and broker are told (Announce) and whoever asked is answered (Reply). A refusal takes the
// draft back. Where the supervisor may have accepted what does not count after all (its answer never came, or
// the commit failed) it is asked to go back to what is in force (`restoring`), and changes wait for its
// answer; the same question is the first thing after a start. It is asked again while no answer comes, and,
// with changes going on meanwhile, while it refuses, until it has accepted that or something newer.
//
// Changes wait in line in the order of asking, each for `wait_max` at most, and are refused then.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "control/core/compile.h"
#include "control/core/revision.h"
#include "control/core/scale.h"
#include "manifest/plan.h"

namespace havn::control {

// What somebody asks for.
struct ApplyChange {
    Submission submission;
    bool force = false;  // accept it anew though nothing changes
};
struct ScaleChange {
    std::string app;
    Counts counts;
};
using Change = std::variant<ApplyChange, ScaleChange>;

// How a change ended that was accepted.
struct Outcome {
    manifest::Plan plan;
    bool changed = false;
    std::uint64_t revision = 0;  // the application's, now in force
};

using Ticket = std::uint64_t;  // names a change; never 0

// What is to be done; the comment says which event tells the end of it.
struct Begin {  // none; the change is the one that is made now
    Ticket ticket = 0;
};
struct ChoosePlacement {                // placed()
    std::vector<std::string> services;  // that need an address
    bool password = false;              // and whether the application needs one
};
struct WriteDraft {  // drafted()
    Revision revision;
    Compiled compiled;
};
struct DropDraft {  // none: what cannot be removed is written over
    std::string app;
    std::uint64_t number = 0;
};
struct AskSupervisor {  // answered(), with the same number; an older question's answer does not matter
    std::uint64_t question = 0;
    supervisor::Desired desired;
    Submission source;  // of what is asked; its manifest is empty
};
struct Commit {  // committed(): of the revision where there is one, else of the table
    std::string app;
    std::optional<std::uint64_t> number;  // to be made current, with what was written beside it
    std::optional<ScaleTable> scales;     // to be saved after that
};
struct Announce {  // none: gateway and broker are told until they know
    Compiled compiled;
};
struct Reply {  // none
    Ticket ticket = 0;
    Result<Outcome> outcome;
};
using Effect =
    std::variant<Begin, ChoosePlacement, WriteDraft, DropDraft, AskSupervisor, Commit, Announce, Reply>;
using Effects = std::vector<Effect>;

// What the supervisor said.
enum class Answer { accepted, refused, unknown };  // unknown: no answer came, and it may have accepted

class Reconciler {
  public:
    static constexpr Duration wait_max = seconds(45);       // in line
    static constexpr Duration restore_pause = seconds(1);   // before it is asked again without an answer
    static constexpr Duration refused_pause = seconds(10);  // and after a refusal
    static constexpr int placements_max = 5;  // a port that was free is sometimes taken when it is opened

    // `host` empty: the one application of a project platform speaks for the host.
    explicit Reconciler(std::optional<HostSettings> host = std::nullopt) : host_(std::move(host)) {}

    // At start, once: what was in force holds again. Error::invalid when it cannot be compiled any more.
    Result<> start(std::vector<Revision> current, ScaleTable scales, Effects& effects);

    // Every change is answered with one Reply.
    Ticket submit(Change change, Time now, Effects& effects);

    void placed(Result<Placement> chosen, Time now, Effects& effects);  // of what ChoosePlacement asked for
    void drafted(Result<std::string> applied_at, Time now, Effects& effects);  // UTC, RFC 3339
    void answered(std::uint64_t question, Answer answer, Error cause, Time now, Effects& effects);
    void committed(Result<> done, Time now, Effects& effects);
    void tick(Time now, Effects& effects);  // at deadline()

    Time deadline() const;  // Time::max(): none

    // What is in force.
    const Revision* current(const std::string& app) const;
    const std::optional<Compiled>& compiled() const { return compiled_; }
    std::vector<ScaleTable::Scaled> scaled(const std::string& app) const;

    // What would hold still with that manifest.
    std::vector<ScaleTable::Scaled> scaled_under(const std::string& app,
                                                 const manifest::Manifest& manifest) const {
        return scales_.holding(app, manifest);
    }

    // What an apply of the manifest would change.
    manifest::Plan plan(const std::string& app, const manifest::Manifest& wanted) const;

    // Nothing is under way: what is in force is what the supervisor accepted last.
    bool idle() const { return state_ == State::idle && restore_at_ == Time::max(); }

  private:
    enum class State { idle, placing, drafting, asking, committing, restoring };
    // A change on its way.
    struct Running {
        Running(Ticket number, Change wanted) : ticket(number), change(std::move(wanted)) {}
        Ticket ticket;
        Change change;
        Outcome outcome;
        std::optional<Revision> draft;  // of an apply; what was written once `is_drafted`
        Compiled compiled;
        ScaleTable scales;
        std::vector<std::string> new_addresses;  // chosen for this change
        int placements = 0;
        bool is_drafted = false;
    };
    struct Waiting {
        Ticket ticket = 0;
        Change change;
        Time deadline{};
    };
    // What comes of a state's effect, by how it ended.
    using Action = void (Reconciler::*)(const Error& cause, Time now, Effects& effects);
    struct Row {
        State state;
        Action done, refused, unknown;  // null: cannot be
    };
    static const Row table[];

    void on(State state, Answer answer, const Error& cause, Time now, Effects& effects);
    void begin_next(Effects& effects);
    void begin_apply(Effects& effects);
    void begin_scale(Effects& effects);
    void place(Effects& effects);
    void finish(Result<Outcome> outcome, Effects& effects);
    void ask_to_restore(Effects& effects);
    Result<Compiled> compile_with(const Revision& revision, const ScaleTable& scales) const;
    bool took_a_new_address(const Error& cause) const;

    void draft(const Error& cause, Time now, Effects& effects);
    void ask(const Error& cause, Time now, Effects& effects);
    void commit(const Error& cause, Time now, Effects& effects);
    void take_over(const Error& cause, Time now, Effects& effects);
    void refuse(const Error& cause, Time now, Effects& effects);
    void place_again(const Error& cause, Time now, Effects& effects);
    void refuse_and_restore(const Error& cause, Time now, Effects& effects);
    void go_on(const Error& cause, Time now, Effects& effects);
    void restore_later(const Error& cause, Time now, Effects& effects);
    void go_on_and_restore_later(const Error& cause, Time now, Effects& effects);

    std::optional<HostSettings> host_;

    // What is in force.
    std::map<std::string, Revision> revisions_;  // by application
    ScaleTable scales_;
    std::optional<Compiled> compiled_;

    State state_ = State::idle;
    std::optional<Running> running_;  // in all states but idle and restoring
    std::deque<Waiting> line_;
    Ticket last_ticket_ = 0;
    std::uint64_t last_question_ = 0;
    Time restore_at_ = Time::max();  // of the next attempt; acted on when idle or restoring
};

}  // namespace havn::control
