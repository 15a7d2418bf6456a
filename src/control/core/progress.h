// How far what runs is from what was asked for. Pure: fed with the supervisor's tables and the time, it says
// what happened, when it is over, and how it ended for each program that was asked for.
//
// What was asked for is a set of slots: instances of programs, and parts of the platform. Whatever else the
// table shows changes neither outcome nor duration, but for what a slot depends on: an instance that waits
// for a program that cannot get ready is named with it. The end always comes. A slot is settled when it is
// ready; when it failed (its quick retries are used up, it was not ready within start_timeout, or it dies
// again and again soon after it was ready); when it cannot get its turn because another instance of its
// program failed; or when nothing about the slots has moved for `standstill_limit()`. An instance that died
// since the change was asked for counts as ready only after `steady_time` without another end. A part that
// refuses its configuration is given `refused_time` after the last movement, for what stands in the way may
// go with the change.
//
// Programs are known by their shown name (contract/supervisor.h), which is an application's key and a name.
// The rows are those of the message "processes" (contract/link.h); a row with `outdated` is on its way out,
// or is to be replaced by another row of the same name and instance.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "contract/supervisor.h"

namespace havn::control {

inline constexpr Duration steady_time = seconds(5);
inline constexpr Duration refused_time = seconds(4);

class Progress {
  public:
    // `names` empty: everything that is wanted, the platform's parts, and that nothing else is left. Else
    // these programs or parts; of a single one perhaps only `instance` (0: all of them).
    struct Asked {
        std::set<std::string> names;
        std::uint32_t instance = 0;
    };

    struct Failure {
        std::string name;
        std::uint32_t instance = 0;
        std::string reason;
    };

    enum class Verdict {
        pending,
        ready,      // by a process that was not there before
        unchanged,  // by the process that was there before
        failed,
        kept,     // not replaced, because another instance failed; the former process goes on
        refused,  // a part that runs, and does not take its configuration
        blocked,  // waits for a program that is not ready
    };

    // How it stands with one program, or with a part of the platform.
    struct Outcome {
        std::string name;
        std::uint32_t wanted = 0, ready = 0;  // `ready` counts those that are as asked
        std::uint32_t replaced = 0;           // ready in a process that was not there before
        std::uint32_t former = 0;             // instances that the former version still serves
        bool replacing = false;               // there was something to replace
        bool refused = false;                 // a part: it runs, but not with its configuration
        std::vector<std::string> causes;      // "web.1 failed: exit 2"
        bool ok() const { return ready == wanted && causes.empty(); }
        std::string sentence() const;  // "web: 0 of 2 replaced; web.1 failed: exit 2; …"
    };

    // `before` is the table when the change was asked for.
    Progress(const supervisor::Desired& wanted, Asked asked, const Json& before, Time now);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // Takes a table and returns what it shows of the slots that the one before did not:
    // {"event":"state","name","instance","kind","pid","state","restarts"} and, with the reason in "message",
    // {"event":"problem","name","instance","message"}. `refusals`: why parts do not take their configuration,
    // by name.
    std::vector<Json> on(const Json& processes, Time now, const std::map<std::string, Error>& refusals = {});

    // Nothing is pending any more.
    bool settled() const { return settled_; }
    // Settled, and everything is as asked.
    bool ok() const;

    // Whether that part is here for refusing its configuration.
    bool refused(const std::string& part) const;

    // When `on` should be called next although no table came.
    Time look_again_at() const { return look_again_at_; }

    // The failures since the last call; each instance fails once.
    std::vector<Failure> take_failures() { return std::exchange(failures_, {}); }

    // By name; what was to go and is still there has an outcome of its own with a cause.
    std::vector<Outcome> outcomes() const;

    // The services among what was asked for: those whose endpoints the gateway must know.
    std::set<std::string> services() const;

  private:
    using Key = std::pair<std::string, std::uint32_t>;  // shown name, instance

    struct Slot {
        const supervisor::Program* program = nullptr;  // null: a part of the platform
        int pid_before = 0;
        bool had_process = false, was_ready = false, replacing = false;
        bool restarted_outside = false;  // keeper and supervisor: outdated while it has its pid of before
        // Of its row that is as wanted, once there is one.
        bool seen = false;
        std::string state;
        int pid = 0;
        std::uint32_t restarts = 0, deaths = 0;
        std::optional<Time> trying_since;  // not ready, with a process or between two
        std::optional<Time> ready_since;
        bool failing = false;  // the supervisor says that it keeps ending
        bool has_failed = false;
        bool is_reported = false;  // its failure
        std::string refusal;
        std::string cause;
        // What the last table says.
        bool former_serves = false;
        Verdict verdict = Verdict::pending;
    };
    struct Rows {  // of one slot in one table
        const Json* fresh = nullptr;
        bool former_ready = false, former_there = false;
    };

    void add_slots(const Asked& asked);
    std::map<Key, Rows> sort_rows(const Json& processes) const;
    bool is_outdated(const Json& row, const Slot* slot) const;
    void follow(const Key& key, Slot& slot, const Json& row, Time now, std::vector<Json>& events);
    void judge_life(Slot& slot, const Json& row, Time now);
    static bool is_steady(const Slot& slot, Time now);
    void note_movement(Time now);
    void judge_refusal(Slot& slot, Time now);
    void decide(const Key& key, Slot& slot, const std::map<Key, Rows>& rows, Time now);
    void find_failing(const std::map<Key, Rows>& rows);
    bool cannot_become_ready(const std::string& name, const std::map<Key, Rows>& rows, int depth);
    bool may_become_ready(const std::string& name, const Key& key, const Rows& rows,
                          const std::map<Key, Rows>& all, int depth);
    std::string unmet_dependency(const Slot& slot, const std::map<Key, Rows>& rows);
    void collect_leaving(const Json& processes);
    void end_standstill(Time now);
    Duration standstill_limit() const;
    const supervisor::Program* find_program(const std::string& name) const;

    supervisor::Desired wanted_;
    bool everything_ = false;
    std::set<std::string> names_;  // as asked: one of them may have no instance any more
    std::map<Key, Slot> slots_;
    std::set<std::string> leaving_;  // "old.1 is stopping"
    // Of the last table: programs with an instance that failed, and whether a program can get ready.
    std::set<std::string> failing_;
    std::map<std::string, bool> cannot_become_ready_;
    std::string seen_last_;  // of slots and leaving: to notice that nothing moves
    Time last_movement_;
    Time look_again_at_ = Time::max();
    std::vector<Failure> failures_;
    bool settled_ = false, stands_still_ = false;
};

}  // namespace havn::control
