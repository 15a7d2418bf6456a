// The manifest as values: what havn.toml and a Procfile say, checked and with every default filled in.
//
// Names are unique across services and workers, every name used (depends_on, service, queue) exists,
// depends_on has no cycle, and lists are sorted by name (routes by key), so two manifests that mean the same
// are equal. What a key means, its unit and bounds stand in one place: the table in keys.cc (docs/manifest.md
// is made of it).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace havn::manifest {

enum class Balance { round_robin, least_conn };
enum class Isolation { process, container, vm };

struct Limits {  // [gateway.limits]
    std::uint64_t max_head = 16u << 10;
    std::uint32_t max_headers = 100;
    milliseconds head_timeout{10'000};
    milliseconds idle_timeout{75'000};
    std::uint32_t max_connections = 20'000;
    std::uint32_t max_connections_per_address = 0;  // 0 = a quarter of what fits
    bool operator==(const Limits&) const = default;
};

struct Gateway {
    std::vector<std::string> listen{"0.0.0.0:8080"};
    std::uint32_t threads = 0;  // 0 = one per core
    std::uint64_t memory = 0;   // 0 = an eighth of the host's
    milliseconds confirm_timeout{5'000};
    std::vector<std::string> trusted_proxies;
    Limits limits;
    bool operator==(const Gateway&) const = default;
};

struct Broker {
    std::vector<std::string> listen{"127.0.0.1:5672"};  // of the embedded broker; meaningless with a url
    std::string url;                                    // empty = embedded; else amqp_url.h reads it
    std::uint64_t memory = 0;                           // bytes; 0 = a quarter of the host's
    std::uint32_t max_connections = 20'000;
    std::map<std::string, std::string> users;  // who may log in from elsewhere: name and password
    bool operator==(const Broker&) const = default;
};

struct Metrics {
    std::vector<std::string> listen;  // empty = off
    bool operator==(const Metrics&) const = default;
};

struct HealthCheck {
    std::string path = "/";
    milliseconds interval{1'000};
    milliseconds timeout{1'000};
    std::uint32_t retries = 3;
    bool operator==(const HealthCheck&) const = default;
};

struct Scale {
    std::uint32_t min = 1;
    std::uint32_t max = 1;
    std::uint32_t backlog_per_worker = 100;
    milliseconds cooldown{30'000};
    bool operator==(const Scale&) const = default;
};

struct Program {  // what [service.*] and [worker.*] share
    std::string name;
    std::string command;
    std::uint32_t instances = 1;  // of a worker with `scale`: scale.min
    std::string directory = ".";  // relative to the manifest's folder, or absolute
    std::string user;             // empty: the owner of the project's folder
    std::map<std::string, std::string> env;
    std::vector<std::string> depends_on;  // names of services and workers, sorted
    Isolation isolation = Isolation::process;
    std::optional<std::uint64_t> memory;  // bytes; recorded, not enforced
    std::optional<double> cpus;           // recorded, not enforced
    milliseconds startsecs{1'000};
    std::uint32_t startretries = 3;
    milliseconds start_timeout{30'000};
    milliseconds stop_timeout{10'000};
    std::uint64_t log_max_bytes = 50u << 20;
    std::uint32_t log_backups = 10;
    bool operator==(const Program&) const = default;
};

struct Service : Program {
    std::optional<HealthCheck> healthcheck;
    Balance balance = Balance::round_robin;  // already what its routes say, where one says it
    std::uint32_t max_fails = 3;
    milliseconds fail_timeout{10'000};
    std::uint32_t keepalive = 64;
    std::vector<std::uint32_t> weights;  // of instance 1, 2, …; absent = 1
    // Of calls through $NAME_URL; a route has its own.
    milliseconds connect_timeout{1'000};
    milliseconds idle_timeout{60'000};
    milliseconds tunnel_timeout{3'600'000};
    bool operator==(const Service&) const = default;
};

struct Worker : Program {
    std::string queue;  // empty, or the name of a [queue.*]
    std::optional<Scale> scale;
    bool operator==(const Worker&) const = default;
};

struct Fallback {
    std::uint32_t status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
    bool operator==(const Fallback&) const = default;
};

struct Route {
    std::string key;      // host + path, canonical: lower-case host, no trailing slash but for "/"
    std::string host;     // "" = any, "shop.example", "*.example"
    std::string path;     // starts with '/'
    std::string service;  // exactly one of service and queue is set
    std::string queue;
    std::vector<std::string> methods;  // empty = all; upper case, sorted
    std::optional<Balance> balance;    // as written; Service::balance is what holds
    milliseconds connect_timeout{1'000};
    std::optional<milliseconds> timeout;
    milliseconds idle_timeout{60'000};
    milliseconds tunnel_timeout{3'600'000};  // service routes only
    std::optional<Fallback> fallback;
    std::uint64_t max_body = 16u << 20;  // queue routes only
    std::vector<std::string> headers;    // queue routes only
    bool operator==(const Route&) const = default;
};

struct Backoff {
    milliseconds min{0}, max{0};  // both 0 = no wait
    bool operator==(const Backoff&) const = default;
};

struct Queue {
    std::string name;
    std::optional<milliseconds> ttl;
    std::uint32_t max_attempts = 0;  // 0 = no limit
    Backoff backoff;
    bool operator==(const Queue&) const = default;
};

struct Manifest {
    std::string app;  // empty: the name of the folder is used
    std::vector<std::string> residency;
    Gateway gateway;
    Broker broker;
    Metrics metrics;
    std::vector<Service> services;
    std::vector<Worker> workers;
    std::vector<Route> routes;
    std::vector<Queue> queues;
    bool operator==(const Manifest&) const = default;
};

}  // namespace havn::manifest
