// What the broker is told: written by control as broker.json, read by the broker. Replaced whole.
//
// Version 2 of the document. Version 1, which named no version, had the queues of the one virtual host "/"
// beside the users, and is read as that. Times are milliseconds, sizes bytes. docs/formats/broker.md
// describes every key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"

namespace havn::broker {

struct QueuePolicy {  // [queue.NAME]: declared durable at start, never deleted by a change of configuration
    std::string name;
    std::optional<milliseconds> message_ttl;  // as a policy: does not show in queue.declare's arguments
    std::uint32_t max_attempts = 0;  // 0 = no limit; a delivery that failed this often goes to `NAME.failed`
    milliseconds backoff_min{0}, backoff_max{0};  // wait before the next attempt, doubling; 0 = none
};

// Names are AMQP short strings. A virtual host that is not named any more keeps what is in it, and is not
// served.
struct VhostConfig {
    std::string name = "/";
    std::vector<QueuePolicy> queues;
};

struct User {
    std::string name, password;
    bool loopback_only = false;
    std::vector<std::string> vhosts{"/"};  // those it may open
};

struct Config {
    std::uint64_t revision = 0;
    std::vector<VhostConfig> vhosts{{}};
    std::vector<User> users{{"guest", "guest", true}};
    std::uint32_t heartbeat_seconds = 60;
    std::uint32_t frame_bytes_max = 131'072;
    std::uint16_t channels_max = 2'047;
    std::uint64_t message_bytes_max = 128u << 20;
    std::uint32_t connections_max = 20'000;
    std::uint64_t memory_bytes = 0;  // beyond it publishers are held back; 0 = a quarter of the host's
    // Message content kept in memory; beyond that, it is read back from the log.
    std::uint64_t memory_bytes_for_content = 64u << 20;
};

Json to_json(const Config& config);
Result<Config> config_from_json(const Json& json);

}  // namespace havn::broker
