// What the gateway is told to do: written by control as gateway.json, read by the gateway. Replaced whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"

namespace havn::gateway {

enum class Balance { round_robin, least_connections };

struct Fallback {
    std::uint16_t status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
};

struct UpstreamConfig {  // one service; its endpoints come over the link
    std::string name;
    Balance balance = Balance::round_robin;
    std::uint32_t max_fails = 3;  // within fail_timeout: then no requests for fail_timeout; 0 = never
    milliseconds fail_timeout{10'000};
    std::uint32_t keepalive = 64;        // idle connections kept, per endpoint and thread
    std::vector<std::uint32_t> weights;  // of instance 1, 2, …; absent = 1
    // Of requests at the service's own address, which no route takes; as there.
    milliseconds connect_timeout{1'000};
    milliseconds idle_timeout{60'000};
    milliseconds tunnel_timeout{3'600'000};
};

struct Route {
    std::string host;                  // "" = any, "shop.example", "*.example"
    std::string path;                  // starts with '/'; matches whole segments
    std::vector<std::string> methods;  // empty = all
    std::string service;               // exactly one of service and queue
    std::string queue;
    std::string vhost;  // of the queue; empty: that of the broker's address, the only one there may be today
    milliseconds connect_timeout{1'000};
    std::optional<milliseconds> timeout;  // deadline for the whole exchange, from its head to the last byte
    milliseconds idle_timeout{60'000};    // without a byte from either side
    milliseconds tunnel_timeout{3'600'000};  // the same in tunnels and event streams
    std::optional<Fallback> fallback;
    std::uint64_t body_bytes_max = 16u << 20;  // queue routes only: the request is held in memory
    std::vector<std::string> headers;  // queue routes: request headers carried into the message's headers
};

struct Limits {
    std::uint32_t head_bytes_max = 16384;
    std::uint32_t header_count_max = 100;
    milliseconds head_timeout{10'000};          // from the first byte of a request to the end of its head
    milliseconds idle_timeout{75'000};          // between requests
    std::uint64_t connections_max = 20'000;     // from outside, over all threads
    std::uint64_t connections_per_address = 0;  // of them, of one address; 0: a quarter
};

struct BrokerAddress {
    std::string address = "unix:run/amqp.sock";  // or "HOST:PORT"
    std::string user = "guest", password = "guest", vhost = "/";
    milliseconds confirm_timeout{5'000};  // then 503 with Retry-After
};

struct Config {
    std::uint64_t revision = 0;
    std::uint32_t threads = 0;       // 0: one per core, or as many as there are sockets of one address
    std::uint64_t memory_bytes = 0;  // for bodies on their way into queues; 0: an eighth of the host's
    std::vector<UpstreamConfig> upstreams;
    std::vector<Route> routes;
    Limits limits;
    BrokerAddress broker;
    std::vector<std::string>
        trusted_proxies;  // CIDR; X-Forwarded-* of these peers is extended, of others replaced
};

Json to_json(const Config& config);
Result<Config> config_from_json(const Json& json);  // names the key that is missing or wrong

}  // namespace havn::gateway
