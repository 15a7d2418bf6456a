// What shall run: written by control as supervisor.json, read by the supervisor. Replaced whole.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"

namespace havn::supervisor {

struct HealthCheck {  // HTTP GET on 127.0.0.1:$PORT; healthy on 200…399
    std::string path = "/";
    milliseconds interval{1'000};
    milliseconds timeout{1'000};
    std::uint32_t retries = 3;  // failures in a row until a ready instance counts as unready
    bool operator==(const HealthCheck&) const = default;
};

enum class Kind { service, worker };

// One [service.*] or [worker.*]. A change of anything but `instances` restarts its instances, one after the
// other.
struct Program {
    std::string name;
    Kind kind = Kind::service;
    std::uint32_t instances = 1;
    std::string command;    // run by /bin/sh -c "exec …" when it needs a shell
    std::string directory;  // absolute
    std::string user;       // empty: the owner of `directory` (as root), else the invoker
    std::map<std::string, std::string>
        environment;                      // $PORT, $HAVN_NAME, $HAVN_INSTANCE are added at each start
    std::vector<std::string> depends_on;  // programs of which at least one instance must be ready first
    std::optional<HealthCheck> health;    // a service without one is ready when $PORT accepts
    milliseconds start_timeout{30'000};   // to become ready; then it counts as failed and is restarted
    milliseconds startsecs{1'000};      // a worker that lives this long is ready; a shorter life is a failure
    std::uint32_t startretries = 3;     // failures at full speed within startretries_window, then slow
    milliseconds stop_timeout{10'000};  // SIGTERM, then this long, then SIGKILL to the whole tree
    std::uint64_t log_bytes_max = 50u << 20;
    std::uint32_t log_backups = 10;
    // As root: the uid of whoever wrote the manifest this stands in. The supervisor finds out by itself
    // (shell/authority.h); what control says here is not believed.
    std::optional<std::uint32_t> written_by;
    bool operator==(const Program&) const = default;
};

struct Listener {
    std::string name;     // "edge", "service:NAME", "amqp", "metrics"
    std::string address;  // "0.0.0.0:8080", "unix:run/amqp.sock" (relative to the data folder)
    std::string part;     // "gateway", "broker" or "control"
    bool operator==(const Listener&) const = default;
};

struct Desired {
    std::uint64_t revision = 0;
    std::string app;
    bool embedded_broker = true;        // false: the manifest names another broker by url
    std::uint32_t gateway_threads = 0;  // 0 = one per core this process may run on
    std::vector<Listener> listeners;
    std::vector<Program> programs;
};

// How many descriptors the supervisor may come to need for it, at most: of each instance two log pipes, a log
// file and a pidfd, a socket for its health check, the same for those that are replaced beside it, and some
// for the listening sockets and the parts.
std::uint64_t descriptors_needed(const Desired& desired);

Json to_json(const Program& program);
Json to_json(const Desired& desired);

// Error::invalid names the key and what was expected there; unknown keys, two programs of one name, unknown
// dependencies and circles of them are refused as well.
Result<Desired> desired_from_json(const Json& json);
Result<Program> program_from_json(const Json& json);

}  // namespace havn::supervisor
