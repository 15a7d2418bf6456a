// One instance as the supervisor keeps it: a chain of lives under one unchanging specification.
//
// When a program changes, its instance gets a new unit; for a service the old one stays until the new one is
// ready, so two units may share a name and an instance number for a while.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "contract/supervisor.h"
#include "supervisor/core/instance.h"
#include "supervisor/core/restart_policy.h"

namespace havn::supervisor {

enum class Role { platform, service, worker };

std::string_view name(Role role);

using UnitId = std::uint64_t;

// How a process ended: with an exit code, by a signal, or in a way nobody could see (both absent).
struct Exit {
    Exit() = default;
    Exit(std::string text, std::optional<int> code = {}, std::optional<int> signal = {})
        : text(std::move(text)), code(code), signal(signal) {}
    Exit(const char* text) : text(text) {}
    bool operator==(const Exit&) const = default;

    std::string text;  // "exit 1", "signal 9 (Killed)"; empty when there was no process
    std::optional<int> code;
    std::optional<int> signal;
};

// Both clocks at one moment: the monotonic one decides, the wall clock is for people.
struct Moment {
    Time time;
    WallTime wall;
};

// What others are told about it, and what the next supervisor must know.
struct UnitFacts {
    UnitId id = 0;
    std::string name;
    std::uint32_t instance = 1;
    Role role = Role::service;
    std::shared_ptr<const Program> program;  // with `instances` set to 1, so that equal means unchanged

    State state = State::down;
    bool wanted = true;          // false: once it is down it is forgotten
    bool replacing = false;      // it takes over from an older unit and has not been ready yet
    bool restart_asked = false;  // it is to be replaced although nothing changed
    bool outdated = false;       // another unit is to take its place; it may serve until that one is ready

    int pid = 0;                   // 0 without a process
    std::uint64_t start_time = 0;  // of the process, in clock ticks after boot: tells a reused pid
    std::string cookie;            // unguessable; in the environment of this life and of all it starts
    std::uint16_t port = 0;        // of a service's present life
    std::uint32_t restarts = 0;    // lives after the first one
    WallTime since{};              // start of the present life; without one, when the state was entered
    WallTime state_since{};        // when the present state was entered
    std::string error;             // why there is no good life at present
    Exit exit;                     // how the last life ended; kept while the next one is ready
    WallTime exited_at{};          // when that was
    milliseconds uptime{0};        // how long that life was
    std::string reason;            // why the present life followed the last one; empty in the first
    WallTime retry_at{};           // in State::backoff: when the next start is due

    bool had_life = false;
    bool ever_ready = false;  // in any life: it does not wait for dependencies again
    bool ready_now = false;   // in this life
    RestartPolicy policy{RestartLimits{}};

    bool operator==(const UnitFacts&) const = default;
};

struct Unit : UnitFacts {
    Time spawned_at{};
    Time deadline = Time::max();
    Time probe_at = Time::max();
    Time timer = Time::max();  // the earlier of the two, as the fleet has it in its order of times
    milliseconds probe_pause{0};
    std::uint32_t probe_failures = 0;

    std::string label() const { return name + "." + std::to_string(instance); }
    std::string endpoint() const { return "127.0.0.1:" + std::to_string(port); }
    bool is_probed() const { return role == Role::service; }
    // Its lives end so often that the next one has to wait; until one of them was long enough.
    bool is_failing() const { return policy.slow_retries() > 0; }
};

// A part of the platform has the same policy with shorter pauses: nothing works without it.
RestartLimits restart_limits(const Unit& unit);

// In which order everything stops, from 0 to 3. The gateway goes before the services, so that what it has in
// flight is answered; control goes last, so that whoever asked for the stop can watch it.
std::size_t stop_rank(const Unit& unit);

}  // namespace havn::supervisor
