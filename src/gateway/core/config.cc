#include "gateway/core/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/core/networks.h"
#include "wire/http1/tables.h"

namespace havn::gateway {
namespace {

constexpr std::uint64_t duration_max = 30ull * 24 * 3600 * 1000;  // ms: what the deadlines can hold

// Reads the keys of one object; remembers the first thing that was wrong, with its full path.
class Reader {
  public:
    Reader(const Json& json, std::string path, std::string& error)
        : json_(json), path_(std::move(path)), error_(error) {
        if (!json.is_object()) wrong("", "an object", json);
    }

    void read(const char* key, std::string& value) {
        const Json* found = find(key);
        if (!found) return;
        if (!found->is_string()) return wrong(key, "a string", *found);
        value = found->get<std::string>();
    }
    template <class Number>
    void read_number(const char* key, Number& value, std::uint64_t min, std::uint64_t max) {
        const Json* found = find(key);
        if (!found) return;
        if (!found->is_number_unsigned() || found->get<std::uint64_t>() < min ||
            found->get<std::uint64_t>() > max) {
            return wrong(key, fmt::format("a whole number from {} to {}", min, max), *found);
        }
        value = static_cast<Number>(found->get<std::uint64_t>());
    }
    void read(const char* key, milliseconds& value, std::uint64_t min = 1) {
        std::uint64_t count = static_cast<std::uint64_t>(value.count());
        read_number(key, count, min, duration_max);
        value = milliseconds(count);
    }
    void read(const char* key, std::vector<std::string>& values) {
        const Json* found = find(key);
        if (!found) return;
        values.clear();
        if (!found->is_array()) return wrong(key, "a list of strings", *found);
        for (const Json& item : *found) {
            if (!item.is_string()) return wrong(key, "a list of strings", *found);
            values.push_back(item.get<std::string>());
        }
    }
    void read(const char* key, std::vector<std::uint32_t>& values) {
        const Json* found = find(key);
        if (!found) return;
        values.clear();
        if (!found->is_array()) return wrong(key, "a list of whole numbers", *found);
        for (const Json& item : *found) {
            if (!item.is_number_unsigned()) return wrong(key, "a list of whole numbers", *found);
            values.push_back(item.get<std::uint32_t>());
        }
    }
    // Calls `function(element, its path)` for each element of a list of objects.
    template <class Function>
    void for_each(const char* key, Function function) {
        const Json* found = find(key);
        if (!found) return;
        if (!found->is_array()) return wrong(key, "a list of objects", *found);
        for (std::size_t i = 0; i < found->size(); ++i)
            function((*found)[i], fmt::format("{}[{}]", full(key), i));
    }

    const Json* find(const char* key) const {
        if (!json_.is_object()) return nullptr;
        const auto found = json_.find(key);
        return found == json_.end() || found->is_null() ? nullptr : &*found;
    }
    std::string full(std::string_view key) const {
        if (path_.empty() || key.empty()) return path_.empty() ? std::string(key) : path_;
        return path_ + "." + std::string(key);
    }
    void wrong(std::string_view key, std::string_view expected, const Json& found) {
        refuse(key, fmt::format("expected {}, found {}", expected,
                                found.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60)));
    }
    void refuse(std::string_view key, std::string_view why) {
        if (error_.empty()) error_ = fmt::format("gateway configuration, {}: {}", full(key), why);
    }

  private:
    const Json& json_;
    std::string path_;
    std::string& error_;
};

Upstream read_upstream(Reader reader) {
    Upstream upstream;
    reader.read("name", upstream.name);
    if (upstream.name.empty()) reader.refuse("name", "is missing");
    std::string balance = "round_robin";
    reader.read("balance", balance);
    if (balance == "least_connections")
        upstream.balance = Balance::least_connections;
    else if (balance != "round_robin")
        reader.wrong("balance", "round_robin or least_connections", balance);
    reader.read_number("max_fails", upstream.max_fails, 0, 1'000'000);
    reader.read("fail_timeout_ms", upstream.fail_timeout);
    reader.read_number("keepalive", upstream.keepalive, 0, 100'000);
    reader.read("weights", upstream.weights);
    for (const std::uint32_t weight : upstream.weights) {
        if (weight == 0 || weight > 65535) reader.refuse("weights", "a weight is a number from 1 to 65535");
    }
    return upstream;
}

Fallback read_fallback(Reader reader) {
    Fallback fallback;
    reader.read_number("status", fallback.status, 200, 599);
    reader.read("type", fallback.type);
    reader.read("body", fallback.body);
    if (fallback.type.find_first_of("\r\n") != std::string::npos) reader.refuse("type", "holds a line break");
    return fallback;
}

Route read_route(Reader reader, std::string& error) {
    Route route;
    reader.read("host", route.host);
    reader.read("path", route.path);
    if (!route.path.starts_with('/')) reader.refuse("path", "is missing or does not start with '/'");
    reader.read("methods", route.methods);
    for (const std::string& method : route.methods) {
        if (!http1::is_token(method)) reader.refuse("methods", "'" + method + "' is no method");
    }
    reader.read("service", route.service);
    reader.read("queue", route.queue);
    if (route.service.empty() == route.queue.empty())
        reader.refuse("service", "give exactly one of service and queue");
    if (route.queue.size() > 255) reader.refuse("queue", "a queue name has at most 255 bytes");
    reader.read("connect_timeout_ms", route.connect_timeout);
    reader.read("timeout_ms", route.timeout);
    reader.read_number("body_bytes_max", route.body_bytes_max, 0, 1u << 30);
    reader.read("headers", route.headers);
    if (const Json* fallback = reader.find("fallback")) {
        route.fallback = read_fallback(Reader(*fallback, reader.full("fallback"), error));
    }
    return route;
}

void read_limits(Reader reader, Limits& limits) {
    reader.read_number("head_bytes_max", limits.head_bytes_max, 512, 1u << 20);
    reader.read_number("header_count_max", limits.header_count_max, 1, 10'000);
    reader.read("head_timeout_ms", limits.head_timeout);
    reader.read("idle_timeout_ms", limits.idle_timeout);
    reader.read_number("connections_max", limits.connections_max, 1, 10'000'000);
}

void read_broker(Reader reader, BrokerAddress& broker) {
    reader.read("address", broker.address);
    reader.read("user", broker.user);
    reader.read("password", broker.password);
    reader.read("vhost", broker.vhost);
    reader.read("confirm_timeout_ms", broker.confirm_timeout);
}

void check_references(const Config& config, Reader& reader) {
    for (const Route& route : config.routes) {
        const auto is_it = [&](const Upstream& upstream) { return upstream.name == route.service; };
        if (!route.service.empty() && std::ranges::none_of(config.upstreams, is_it)) {
            reader.refuse("routes", fmt::format("route {}{} names service '{}', which is not in upstreams",
                                                route.host, route.path, route.service));
        }
    }
    for (const std::string& network : config.trusted_proxies) {
        if (!parse_network(network)) {
            reader.refuse("trusted_proxies",
                          "'" + network + "' is no network; expected one as 10.0.0.0/8 or fd00::/8");
        }
    }
}

}  // namespace

static Json to_json(const Upstream& upstream) {
    return {{"name", upstream.name},
            {"balance", upstream.balance == Balance::round_robin ? "round_robin" : "least_connections"},
            {"max_fails", upstream.max_fails},
            {"fail_timeout_ms", upstream.fail_timeout.count()},
            {"keepalive", upstream.keepalive},
            {"weights", upstream.weights}};
}

static Json to_json(const Route& route) {
    Json json{{"host", route.host},
              {"path", route.path},
              {"methods", route.methods},
              {"service", route.service},
              {"queue", route.queue},
              {"connect_timeout_ms", route.connect_timeout.count()},
              {"timeout_ms", route.timeout.count()},
              {"body_bytes_max", route.body_bytes_max},
              {"headers", route.headers}};
    if (route.fallback) {
        json["fallback"] = {{"status", route.fallback->status},
                            {"type", route.fallback->type},
                            {"body", route.fallback->body}};
    }
    return json;
}

Json to_json(const Config& config) {
    Json json{{"revision", config.revision},
              {"upstreams", Json::array()},
              {"routes", Json::array()},
              {"limits",
               {{"head_bytes_max", config.limits.head_bytes_max},
                {"header_count_max", config.limits.header_count_max},
                {"head_timeout_ms", config.limits.head_timeout.count()},
                {"idle_timeout_ms", config.limits.idle_timeout.count()},
                {"connections_max", config.limits.connections_max}}},
              {"broker",
               {{"address", config.broker.address},
                {"user", config.broker.user},
                {"password", config.broker.password},
                {"vhost", config.broker.vhost},
                {"confirm_timeout_ms", config.broker.confirm_timeout.count()}}},
              {"trusted_proxies", config.trusted_proxies}};
    for (const Upstream& upstream : config.upstreams) json["upstreams"].push_back(to_json(upstream));
    for (const Route& route : config.routes) json["routes"].push_back(to_json(route));
    return json;
}

Result<Config> config_from_json(const Json& json) {
    Config config;
    std::string error;
    Reader reader(json, "", error);
    reader.read_number("revision", config.revision, 0, UINT64_MAX);
    reader.for_each("upstreams", [&](const Json& item, const std::string& path) {
        config.upstreams.push_back(read_upstream(Reader(item, path, error)));
    });
    reader.for_each("routes", [&](const Json& item, const std::string& path) {
        config.routes.push_back(read_route(Reader(item, path, error), error));
    });
    if (const Json* limits = reader.find("limits"))
        read_limits(Reader(*limits, "limits", error), config.limits);
    if (const Json* broker = reader.find("broker"))
        read_broker(Reader(*broker, "broker", error), config.broker);
    reader.read("trusted_proxies", config.trusted_proxies);
    if (error.empty()) check_references(config, reader);
    if (!error.empty()) return fail(Error::Kind::invalid, error);
    return config;
}

}  // namespace havn::gateway
