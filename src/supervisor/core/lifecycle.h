// The life of one instance as a table: in which state what leads where, and what is to be done then.
//
// `step` is a pure look-up. An event that means nothing in a state (a late answer of a probe, say) leaves the
// state as it is. Who owns the instance decides when `dependencies_met` and `deadline` come; see
// process_table.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace havn::supervisor {

enum class State : std::uint8_t {
    down,      // no process, none wanted (yet)
    waiting,   // for what it depends on
    starting,  // a process, not ready
    ready,
    unready,   // failed its health checks; out of the endpoints, still running
    draining,  // out of the endpoints; finishes what it has
    stopping,  // told to end (SIGTERM)
    killing,   // SIGKILL to the whole tree
    backoff,   // no process; the next start has its time
};
inline constexpr std::size_t state_count = 9;

enum class Event : std::uint8_t {
    start,  // it is wanted
    stop,   // it is not wanted any more, or must be replaced
    dependencies_met,
    probe_passed,  // it answers, or has lived for startsecs, or said so over its link
    probe_failed,  // as often in a row as its health check allows
    exited,        // its main process is gone, or never came to be (fork, exec)
    drained,       // nothing is in flight to it
    deadline,      // the time limit of the present state passed
};
inline constexpr std::size_t event_count = 8;

enum class Action : std::uint8_t {
    none,
    spawn,
    publish,    // the endpoints changed
    drain,      // the endpoints changed, and it will be told to end once nothing is in flight
    terminate,  // SIGTERM
    kill,       // SIGKILL to the whole tree
    retry,      // ask the restart policy when to start again; publish if it was ready
    gone,       // its stop is complete: forget it, or start it afresh
};

struct Step {
    State next;
    Action action;
    bool operator==(const Step&) const = default;
};

Step step(State state, Event event);

constexpr bool has_process(State state) {
    return state >= State::starting && state <= State::killing;
}
std::string_view name(State state);
std::optional<State> state_from_name(std::string_view name);

}  // namespace havn::supervisor
