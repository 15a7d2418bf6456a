#include "broker/core/config.h"

namespace havn::broker {

namespace {

Json to_json(const QueuePolicy& policy) {
    Json json{{"name", policy.name},
              {"max_attempts", policy.max_attempts},
              {"backoff_min_ms", policy.backoff_min.count()},
              {"backoff_max_ms", policy.backoff_max.count()}};
    if (policy.message_ttl) json["message_ttl_ms"] = policy.message_ttl->count();
    return json;
}

QueuePolicy policy_from_json(const Json& json) {
    QueuePolicy policy;
    policy.name = json.at("name");
    policy.max_attempts = json.value("max_attempts", policy.max_attempts);
    policy.backoff_min = milliseconds(json.value("backoff_min_ms", std::int64_t{0}));
    policy.backoff_max = milliseconds(json.value("backoff_max_ms", std::int64_t{0}));
    if (json.contains("message_ttl_ms"))
        policy.message_ttl = milliseconds(json["message_ttl_ms"].get<std::int64_t>());
    return policy;
}

}  // namespace

Json to_json(const Config& config) {
    Json queues = Json::array(), users = Json::array();
    for (const QueuePolicy& policy : config.queues) queues.push_back(to_json(policy));
    for (const User& user : config.users) {
        users.push_back(
            {{"name", user.name}, {"password", user.password}, {"loopback_only", user.loopback_only}});
    }
    return {{"revision", config.revision},
            {"queues", queues},
            {"users", users},
            {"heartbeat_seconds", config.heartbeat_seconds},
            {"frame_bytes_max", config.frame_bytes_max},
            {"channels_max", config.channels_max},
            {"message_bytes_max", config.message_bytes_max},
            {"memory_bytes_for_content", config.memory_bytes_for_content}};
}

Result<Config> config_from_json(const Json& json) {
    try {
        Config config;
        config.revision = json.value("revision", config.revision);
        for (const Json& policy : json.value("queues", Json::array())) {
            config.queues.push_back(policy_from_json(policy));
        }
        if (json.contains("users")) {
            config.users.clear();
            for (const Json& user : json["users"]) {
                config.users.push_back(
                    {user.at("name"), user.at("password"), user.value("loopback_only", false)});
            }
        }
        config.heartbeat_seconds = json.value("heartbeat_seconds", config.heartbeat_seconds);
        config.frame_bytes_max = json.value("frame_bytes_max", config.frame_bytes_max);
        config.channels_max = json.value("channels_max", config.channels_max);
        config.message_bytes_max = json.value("message_bytes_max", config.message_bytes_max);
        config.memory_bytes_for_content =
            json.value("memory_bytes_for_content", config.memory_bytes_for_content);
        if (config.frame_bytes_max < 4'096) {
            return fail(Error::Kind::invalid, "broker.json: frame_bytes_max is below 4096");
        }
        return config;
    } catch (const Json::exception& error) {
        return fail(Error::Kind::invalid, std::string("broker.json: ") + error.what());
    }
}

}  // namespace havn::broker
