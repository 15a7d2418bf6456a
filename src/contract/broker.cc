#include "contract/broker.h"

#include <set>

#include "base/json_reader.h"

namespace havn::broker {

namespace {

constexpr std::uint32_t version = 2;
constexpr std::size_t name_bytes_max = 255;  // of an AMQP short string

// Ten years: against overflow, and not a policy.
constexpr std::uint64_t ttl_max_ms = 10ull * 365 * 24 * 3600 * 1000;

Json to_json(const QueuePolicy& policy) {
    Json json{{"name", policy.name},
              {"max_attempts", policy.max_attempts},
              {"backoff_min_ms", policy.backoff_min.count()},
              {"backoff_max_ms", policy.backoff_max.count()}};
    if (policy.message_ttl) json["message_ttl_ms"] = policy.message_ttl->count();
    return json;
}

void read_policy(JsonReader& reader, QueuePolicy& policy) {
    reader.required_text("name", policy.name);
    if (policy.name.size() > name_bytes_max) reader.refuse("name", "a queue name has at most 255 bytes");
    reader.number("max_attempts", policy.max_attempts, 0, UINT32_MAX);
    reader.duration("backoff_min_ms", policy.backoff_min);
    reader.duration("backoff_max_ms", policy.backoff_max);
    milliseconds ttl{0};
    reader.duration("message_ttl_ms", ttl, 0, ttl_max_ms);
    if (reader.has("message_ttl_ms")) policy.message_ttl = ttl;
}

void read_user(JsonReader& reader, User& user) {
    reader.required_text("name", user.name);
    reader.required_text("password", user.password);
    reader.flag("loopback_only", user.loopback_only);
    reader.texts("vhosts", user.vhosts);
}

Json to_json(const VhostConfig& vhost) {
    Json queues = Json::array();
    for (const QueuePolicy& policy : vhost.queues) queues.push_back(to_json(policy));
    return {{"name", vhost.name}, {"queues", queues}};
}

void read_vhost(JsonReader& reader, VhostConfig& vhost) {
    reader.required_text("name", vhost.name);
    if (vhost.name.size() > name_bytes_max) {
        reader.refuse("name", "a virtual host's name has at most 255 bytes");
    }
    reader.objects("queues", [&](JsonReader& item) { read_policy(item, vhost.queues.emplace_back()); });
}

void read_vhosts(JsonReader& reader, std::uint32_t written_as, std::vector<VhostConfig>& vhosts) {
    if (written_as == 1) {  // the queues of "/"
        reader.objects("queues",
                       [&](JsonReader& item) { read_policy(item, vhosts[0].queues.emplace_back()); });
        return;
    }
    if (reader.has("vhosts")) vhosts.clear();
    reader.objects("vhosts", [&](JsonReader& item) { read_vhost(item, vhosts.emplace_back()); });
    std::set<std::string_view> names;
    for (const VhostConfig& vhost : vhosts) {
        if (!names.insert(vhost.name).second) reader.refuse("vhosts", "each virtual host once");
    }
}

}  // namespace

Json to_json(const Config& config) {
    Json vhosts = Json::array(), users = Json::array();
    for (const VhostConfig& vhost : config.vhosts) vhosts.push_back(to_json(vhost));
    for (const User& user : config.users) {
        users.push_back({{"name", user.name},
                         {"password", user.password},
                         {"loopback_only", user.loopback_only},
                         {"vhosts", user.vhosts}});
    }
    return {{"version", version},
            {"revision", config.revision},
            {"vhosts", vhosts},
            {"users", users},
            {"heartbeat_seconds", config.heartbeat_seconds},
            {"frame_bytes_max", config.frame_bytes_max},
            {"channels_max", config.channels_max},
            {"message_bytes_max", config.message_bytes_max},
            {"connections_max", config.connections_max},
            {"memory_bytes", config.memory_bytes},
            {"memory_bytes_for_content", config.memory_bytes_for_content}};
}

Result<Config> config_from_json(const Json& json) {
    Config config;
    JsonReader reader(json, "the broker's configuration");
    std::uint32_t written_as = 1;
    reader.number("version", written_as, 1, version);
    reader.number("revision", config.revision, 0, UINT64_MAX);
    read_vhosts(reader, written_as, config.vhosts);
    if (reader.has("users")) config.users.clear();
    reader.objects("users", [&](JsonReader& item) { read_user(item, config.users.emplace_back()); });
    reader.number("heartbeat_seconds", config.heartbeat_seconds, 0, 65'535);
    reader.number("frame_bytes_max", config.frame_bytes_max, 4'096, 1u << 30);
    reader.number("channels_max", config.channels_max, 1, 65'535);
    reader.number("message_bytes_max", config.message_bytes_max, 1, 1u << 30);
    reader.number("connections_max", config.connections_max, 1, 1'000'000);
    reader.number("memory_bytes", config.memory_bytes, 0, UINT64_MAX / 4);
    reader.number("memory_bytes_for_content", config.memory_bytes_for_content, 0, UINT64_MAX);
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    return config;
}

}  // namespace havn::broker
