// One instance as the supervisor keeps it: a chain of lives under one unchanging specification.
//
// When a program changes, its instance gets a new one of these; for a service the old one stays until the new
// one is ready, so two may share a name and a number for a while. What runs a life (a process, later a
// container or a machine) is the runtime's business (runtime.h): here stand its handle and its address.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "contract/supervisor.h"
#include "supervisor/core/lifecycle.h"
#include "supervisor/core/restart_policy.h"

namespace havn::supervisor {

enum class Role { platform, service, worker };

std::string_view name(Role role);
std::optional<Role> role_from_name(std::string_view text);

using InstanceId = std::uint64_t;

// How a life ended: with an exit code, by a signal, or in a way nobody could see (both absent).
struct Exit {
    Exit() = default;
    Exit(std::string text, std::optional<int> code = {}, std::optional<int> signal = {})
        : text(std::move(text)), code(code), signal(signal) {}
    Exit(const char* text) : text(text) {}
    bool operator==(const Exit&) const = default;

    std::string text;  // "exit 1", "signal 9 (Killed)"; empty when nothing had begun
    std::optional<int> code;
    std::optional<int> signal;
};

// Both clocks at one moment: the monotonic one decides, the wall clock is for people.
struct Moment {
    Time time;
    WallTime wall;
};

// What a runtime says of a life it has begun.
struct Started {
    std::string handle;            // the runtime's own name for it; opens all that belongs to the life
    int pid = 0;                   // of its main process, as the supervisor sees it
    std::uint64_t start_time = 0;  // of that process, in clock ticks after boot: tells a reused pid
    std::string address;           // where a service answers: "127.0.0.1:20001"; empty for all else
    bool operator==(const Started&) const = default;
};

// Which instance it is, for as long as it is there.
struct InstanceIdentity {
    InstanceId id = 0;
    std::string app;  // empty for the parts of the platform, and in a project platform
    std::string name;
    std::uint32_t number = 1;
    Role role = Role::service;
    std::shared_ptr<const Program> program;  // with `instances` set to 1, so that equal means unchanged

    // "web", "shop/web": the program's name for people and between parts.
    std::string shown() const { return shown_name(app, name); }
    std::string label() const { return shown() + "." + std::to_string(number); }
    bool is_probed() const { return role == Role::service; }
    bool is_part(std::string_view part) const { return role == Role::platform && name == part; }
    bool operator==(const InstanceIdentity&) const = default;
};

// What others are told about it, and what the next supervisor must know.
struct InstanceFacts : InstanceIdentity {
    State state = State::down;
    bool wanted = true;          // false: once it is down it is forgotten
    bool replacing = false;      // it takes over from an older instance and has not been ready yet
    bool restart_asked = false;  // it is to be replaced although nothing changed
    bool outdated = false;       // another one is to take its place; it may serve until that one is ready

    Started life;                // of the present life; after it, pid is 0 and the rest is the last one's
    std::uint32_t restarts = 0;  // lives after the first one
    WallTime since{};            // start of the present life; without one, when the state was entered
    WallTime state_since{};      // when the present state was entered
    std::string error;           // why there is no good life at present
    Exit exit;                   // how the last life ended; kept while the next one is ready
    WallTime exited_at{};        // when that was
    milliseconds uptime{0};      // how long that life was
    std::string reason;          // why the present life followed the last one; empty in the first
    WallTime retry_at{};         // in State::backoff: when the next start is due

    bool had_life = false;
    bool ever_ready = false;  // in any life: it does not wait for dependencies again
    bool ready_now = false;   // in this life
    RestartPolicy policy{RestartLimits{}};

    // Its lives end so often that the next one has to wait; until one of them was long enough.
    bool is_failing() const { return policy.slow_retries() > 0; }
    bool operator==(const InstanceFacts&) const = default;
};

struct Instance : InstanceFacts {
    Time spawned_at{};
    Time deadline = Time::max();
    Time probe_at = Time::max();
    Time timer = Time::max();  // the earlier of the two, as `Instances` has it in its order of times
    milliseconds probe_pause{0};
    std::uint32_t probe_failures = 0;
};

// A part of the platform has the same policy with shorter pauses: nothing works without it.
RestartLimits restart_limits(const Instance& instance);

// In which order everything stops, from 0 to 3. The gateway goes before the services, so that what it has in
// flight is answered; control goes last, so that whoever asked for the stop can watch it.
inline constexpr std::size_t stop_ranks = 4;
std::size_t stop_rank(const Instance& instance);

}  // namespace havn::supervisor
