// How far what runs is from what was asked for: fed with the supervisor's tables, says what happened and when
// it is over. Pure.
//
// It is done when every program has exactly its instances, all ready, none of them a process from before that
// was to be replaced, and the platform's own parts are ready. An instance has failed when it died more often
// than its startretries, or was not ready within start_timeout; then the rest is still waited for until it
// has settled: each ready, failed, or waiting for what failed.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "supervisor/core/desired.h"

namespace havn::control {

class Progress {
  public:
    struct Failure {
        std::string name;
        std::uint32_t instance = 0;
        std::string reason;
    };

    // `before` is the table when the change was accepted; the processes `old_pids` of it must go.
    Progress(const supervisor::Desired& wanted, const Json& before, std::set<int> old_pids, Time now);

    // Takes a table and returns what it shows that the one before did not:
    // {"event":"state","name","instance","kind","pid","state","restarts"} and, with the reason in "message",
    // {"event":"problem","name","instance","message"}.
    std::vector<Json> on(const Json& processes, Time now);

    bool done() const { return done_; }
    bool failed() const { return !failed_.empty(); }
    bool settled() const { return settled_; }

    // The failures since the last call; each instance fails once.
    std::vector<Failure> take_failures() { return std::exchange(failures_, {}); }

    // What is not as asked for yet, for people: "cart.1 is starting".
    std::vector<std::string> missing() const { return missing_; }

    // The programs whose running instances a change from `from` to `to` replaces.
    static std::set<std::string> replaced(const supervisor::Desired& from, const supervisor::Desired& to);

    // The processes of `names` in a table; of all instances when `instance` is 0.
    static std::set<int> pids_of(const Json& processes, const std::set<std::string>& names, int instance);

  private:
    struct Seen {
        std::string state;
        std::uint32_t restarts = 0;
        int pid = 0;
    };
    void look_at(const Json& row, Time now, std::vector<Json>& events);
    void judge(const Json& row, Time now);
    void count(const Json& processes);

    supervisor::Desired wanted_;
    Time began_;
    std::set<int> old_pids_;
    std::map<std::string, Seen> seen_;  // by "name.instance"
    std::map<std::string, std::uint32_t> restarts_at_start_;
    std::vector<std::string> missing_;
    std::vector<Failure> failures_;
    std::set<std::string> failed_;  // "name.instance"
    bool done_ = false, settled_ = false;
};

}  // namespace havn::control
