#include "contract/gateway.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ip.h"
#include "base/json_reader.h"
#include "wire/http1/tables.h"

namespace havn::gateway {

namespace {

void read_upstream(JsonReader& reader, UpstreamConfig& upstream) {
    reader.required_text("name", upstream.name);
    std::string balance = "round_robin";
    reader.text("balance", balance);
    if (balance == "least_connections") {
        upstream.balance = Balance::least_connections;
    } else if (balance != "round_robin") {
        reader.refuse_value("balance", "round_robin or least_connections");
    }
    reader.number("max_fails", upstream.max_fails, 0, 1'000'000);
    reader.duration("fail_timeout_ms", upstream.fail_timeout, 1);
    reader.duration("connect_timeout_ms", upstream.connect_timeout, 1);
    reader.duration("idle_timeout_ms", upstream.idle_timeout, 1);
    reader.duration("tunnel_timeout_ms", upstream.tunnel_timeout, 1);
    reader.number("keepalive", upstream.keepalive, 0, 100'000);
    reader.numbers("weights", upstream.weights, 1, 65535);
}

void read_fallback(JsonReader& reader, Fallback& fallback) {
    reader.number("status", fallback.status, 200, 599);
    reader.text("type", fallback.type);
    reader.text("body", fallback.body);
    if (fallback.type.find_first_of("\r\n") != std::string::npos) reader.refuse("type", "holds a line break");
}

void read_route(JsonReader& reader, Route& route) {
    reader.text("host", route.host);
    reader.text("path", route.path);
    if (!route.path.starts_with('/')) reader.refuse("path", "is missing or does not start with '/'");
    reader.texts("methods", route.methods);
    for (const std::string& method : route.methods) {
        if (!http1::is_token(method)) reader.refuse("methods", "'" + method + "' is no method");
    }
    reader.text("service", route.service);
    reader.text("queue", route.queue);
    reader.text("vhost", route.vhost, 255);
    if (route.service.empty() == route.queue.empty()) {
        reader.refuse("service", "give exactly one of service and queue");
    }
    if (route.queue.size() > 255) reader.refuse("queue", "a queue name has at most 255 bytes");
    reader.duration("connect_timeout_ms", route.connect_timeout, 1);
    milliseconds timeout{0};
    reader.duration("timeout_ms", timeout, 1);
    if (reader.has("timeout_ms")) route.timeout = timeout;
    reader.duration("idle_timeout_ms", route.idle_timeout, 1);
    reader.duration("tunnel_timeout_ms", route.tunnel_timeout, 1);
    reader.number("body_bytes_max", route.body_bytes_max, 0, 1u << 30);
    reader.texts("headers", route.headers);
    reader.object("fallback", [&](JsonReader& item) { read_fallback(item, route.fallback.emplace()); });
}

void read_limits(JsonReader& reader, Limits& limits) {
    reader.number("head_bytes_max", limits.head_bytes_max, 512, 1u << 20);
    reader.number("header_count_max", limits.header_count_max, 1, 10'000);
    reader.duration("head_timeout_ms", limits.head_timeout, 1);
    reader.duration("idle_timeout_ms", limits.idle_timeout, 1);
    reader.number("connections_max", limits.connections_max, 1, 10'000'000);
    reader.number("connections_per_address", limits.connections_per_address, 0, 10'000'000);
}

void read_broker(JsonReader& reader, BrokerAddress& broker) {
    reader.text("address", broker.address);
    reader.text("user", broker.user);
    reader.text("password", broker.password);
    reader.text("vhost", broker.vhost, 255);
    reader.duration("confirm_timeout_ms", broker.confirm_timeout, 1);
}

void check_references(const Config& config, JsonReader& reader) {
    for (const Route& route : config.routes) {
        const auto is_it = [&](const UpstreamConfig& upstream) { return upstream.name == route.service; };
        if (!route.service.empty() && std::ranges::none_of(config.upstreams, is_it)) {
            reader.refuse("routes", fmt::format("route {}{} names service '{}', which is not in upstreams",
                                                route.host, route.path, route.service));
        }
    }
    for (const Route& route : config.routes) {
        if (route.queue.empty() || route.vhost.empty() || route.vhost == config.broker.vhost) continue;
        reader.refuse("routes", fmt::format("the queue of route {}{} is in virtual host '{}'; this version "
                                            "publishes into '{}' alone",
                                            route.host, route.path, route.vhost, config.broker.vhost));
    }
    for (const std::string& network : config.trusted_proxies) {
        if (!parse_network(network)) {
            reader.refuse("trusted_proxies",
                          "'" + network + "' is no network; expected one as 10.0.0.0/8 or fd00::/8");
        }
    }
}

Json to_json(const UpstreamConfig& upstream) {
    return {{"name", upstream.name},
            {"balance", upstream.balance == Balance::round_robin ? "round_robin" : "least_connections"},
            {"max_fails", upstream.max_fails},
            {"fail_timeout_ms", upstream.fail_timeout.count()},
            {"keepalive", upstream.keepalive},
            {"connect_timeout_ms", upstream.connect_timeout.count()},
            {"idle_timeout_ms", upstream.idle_timeout.count()},
            {"tunnel_timeout_ms", upstream.tunnel_timeout.count()},
            {"weights", upstream.weights}};
}

Json to_json(const Route& route) {
    Json json{{"host", route.host},
              {"path", route.path},
              {"methods", route.methods},
              {"service", route.service},
              {"queue", route.queue},
              {"connect_timeout_ms", route.connect_timeout.count()},
              {"idle_timeout_ms", route.idle_timeout.count()},
              {"tunnel_timeout_ms", route.tunnel_timeout.count()},
              {"body_bytes_max", route.body_bytes_max},
              {"headers", route.headers}};
    if (!route.vhost.empty()) json["vhost"] = route.vhost;
    if (route.timeout) json["timeout_ms"] = route.timeout->count();
    if (route.fallback) {
        json["fallback"] = {{"status", route.fallback->status},
                            {"type", route.fallback->type},
                            {"body", route.fallback->body}};
    }
    return json;
}

}  // namespace

Json to_json(const Config& config) {
    Json json{{"revision", config.revision},
              {"threads", config.threads},
              {"memory_bytes", config.memory_bytes},
              {"upstreams", Json::array()},
              {"routes", Json::array()},
              {"limits",
               {{"head_bytes_max", config.limits.head_bytes_max},
                {"header_count_max", config.limits.header_count_max},
                {"head_timeout_ms", config.limits.head_timeout.count()},
                {"idle_timeout_ms", config.limits.idle_timeout.count()},
                {"connections_max", config.limits.connections_max},
                {"connections_per_address", config.limits.connections_per_address}}},
              {"broker",
               {{"address", config.broker.address},
                {"user", config.broker.user},
                {"password", config.broker.password},
                {"vhost", config.broker.vhost},
                {"confirm_timeout_ms", config.broker.confirm_timeout.count()}}},
              {"trusted_proxies", config.trusted_proxies}};
    for (const UpstreamConfig& upstream : config.upstreams) json["upstreams"].push_back(to_json(upstream));
    for (const Route& route : config.routes) json["routes"].push_back(to_json(route));
    return json;
}

Result<Config> config_from_json(const Json& json) {
    Config config;
    JsonReader reader(json, "the gateway's configuration");
    reader.number("revision", config.revision, 0, UINT64_MAX);
    reader.number("threads", config.threads, 0, 256);
    reader.number("memory_bytes", config.memory_bytes, 0, UINT64_MAX >> 1);
    reader.objects("upstreams",
                   [&](JsonReader& item) { read_upstream(item, config.upstreams.emplace_back()); });
    reader.objects("routes", [&](JsonReader& item) { read_route(item, config.routes.emplace_back()); });
    reader.object("limits", [&](JsonReader& item) { read_limits(item, config.limits); });
    reader.object("broker", [&](JsonReader& item) { read_broker(item, config.broker); });
    reader.texts("trusted_proxies", config.trusted_proxies);
    check_references(config, reader);
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    return config;
}

}  // namespace havn::gateway
