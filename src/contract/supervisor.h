// What shall run: written by control as supervisor.json, read by the supervisor. Replaced whole.
//
// Programs belong to applications. A program is identified by its application's key and its name; the key is
// empty in a project platform, whose only application shows nowhere. docs/formats/desired.md has the format.
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

// The name of a program for people, and the key of a service between the parts (upstreams, listeners,
// endpoints): NAME where the application has no key, else APP/NAME.
std::string shown_name(const std::string& app, const std::string& name);

// One [service.*] or [worker.*]. A change of anything but `instances` restarts its instances, one after the
// other.
struct Program {
    std::string app;   // key of its application; empty: the only one
    std::string name;  // unique within the application
    Kind kind = Kind::service;
    std::uint32_t instances = 1;
    std::string command;    // run by /bin/sh -c "exec …" when it needs a shell
    std::string directory;  // absolute
    std::string user;       // empty: the owner of `directory` (as root), else the invoker
    std::map<std::string, std::string>
        environment;                      // $PORT, $HAVN_NAME, $HAVN_INSTANCE are added at each start
    std::vector<std::string> depends_on;  // of the same application: one instance each must be ready first
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
    static constexpr std::uint32_t version = 2;  // of the format

    std::uint64_t revision = 0;
    std::string app;                    // for people: what the only application calls itself
    bool embedded_broker = true;        // false: the manifest names another broker by url
    std::uint32_t gateway_threads = 0;  // 0 = one per core this process may run on
    std::vector<Listener> listeners;
    std::vector<Program> programs;
};

Json to_json(const Program& program);
Json to_json(const Desired& desired);

// Error::invalid names the key and what was expected there; unknown keys, two programs of one name in an
// application, unknown dependencies, circles of them and a document of a later version are refused as well.
// Version 1, which had neither a version nor applications, is read too.
Result<Desired> desired_from_json(const Json& json);
Result<Program> program_from_json(const Json& json);

}  // namespace havn::supervisor
