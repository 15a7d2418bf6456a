// Gateway and broker as control sees them: which of them has to be told what is in force, when, and which
// refuse it. Pure: it is fed with tables of processes, answers and the time; component_link.h does the
// asking.
//
// A component reads its file under applied/parts/ when it starts; from then on it is told here. Each is told
// anew when the configuration changes and when its process does, so none can be left with an old one by a
// race. One that does not listen yet is asked again at once. One that answers with a refusal has a cause that
// something else must remove: it is asked again after a pause that doubles from one second to ten, a second
// after something changed in the table of processes, and at once after try_again(); its cause is to be logged
// when it changes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "control/core/compile.h"

namespace havn::control {

class Components {
  public:
    // A configuration that a component has to be told.
    struct Update {
        std::string name;  // "gateway" or "broker"
        Json config;
        std::uint64_t generation = 0;
        int pid = 0;  // of the process that was there when the update was made
    };

    // What must hold from now on.
    void set(const Compiled& compiled);

    // The rows of the process table; called at each change of it.
    void on_table(const Json& rows);

    // Somebody asked for a change, and has mostly just removed what was in the way.
    void try_again();

    // When somebody has to be told next; Time::max(): never, as things are.
    Time due() const;

    // Who has to be told now; one at a time, and none while the one before is not answered.
    std::optional<Update> next(Time now) const;

    // What came of it. The line is to be logged, unless it is empty; `is_problem` says how.
    struct Note {
        std::string line;
        bool is_problem = false;
    };
    Note answered(const Update& update, const Result<>& answer, Time now);

    // Whether the component, if it runs, knows the configuration in force.
    bool knows(const std::string& name) const;

    // Why processes that run do not take the configuration in force: by the name of the component.
    std::map<std::string, Error> refusals() const;

    // Whether the table calls the component ready.
    bool is_ready(const std::string& name) const;

  private:
    struct Component {
        Json config;
        std::uint64_t generation = 0;        // of `config`
        std::uint64_t known_generation = 0;  // what `known_pid` took last
        int known_pid = 0;
        int asked_pid = 0;  // who answered last, and when
        Time asked_at{};
        Time ask_at = Time::min();     // not before, unless its process is another one
        std::optional<Error> refusal;  // of `asked_pid`, which does not take `config`
        Duration pause{};              // after the next refusal
        std::string logged;            // the refusal that the log tells of
    };
    struct Process {
        int pid = 0;  // 0: none that could be asked
        bool is_ready = false;
    };
    int pid_of(const std::string& name) const;
    Time due(const std::string& name) const;

    std::map<std::string, Component> components_;
    std::map<std::string, Process> processes_;
};

// Whether the gateway, whose /status gave `services` (the endpoints of each), sends requests to every
// instance of `wanted` (empty: of all) that the rows call ready.
bool gateway_follows(const Json& services, const Json& rows, const std::set<std::string>& wanted);

}  // namespace havn::control
