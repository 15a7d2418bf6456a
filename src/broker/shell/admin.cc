#include "broker/shell/admin.h"

#include <fmt/format.h>

#include <iterator>

namespace havn::broker {

Admin::Admin(io::Loop& loop, Server& server) : server_(server), rpc_(loop.executor()) {
    rpc_.route("PUT", "/config", [this](rpc::Request request) { return put_config(std::move(request)); });
    rpc_.route("GET", "/queues", [this](rpc::Request request) { return get_queues(std::move(request)); });
    rpc_.route("POST", "/queues/{name}/purge",
               [this](rpc::Request request) { return purge(std::move(request)); });
    rpc_.route("GET", "/status", [this](rpc::Request request) { return get_status(std::move(request)); });
    rpc_.route("GET", "/metrics", [this](rpc::Request request) { return get_metrics(std::move(request)); });
}

Admin::Task Admin::put_config(rpc::Request request) {
    Result<Json> json = request.json();
    if (!json) co_return rpc::error(json.error());
    Result<Config> config = config_from_json(*json);
    if (!config) co_return rpc::error(config.error());
    server_.apply(*config);
    co_return rpc::json({{"revision", config->revision}});
}

Admin::Task Admin::get_queues(rpc::Request) {
    Json queues = Json::array();
    for (const QueueStats& queue : server_.broker().queue_stats()) {
        queues.push_back({{"name", queue.name},
                          {"ready", queue.ready},
                          {"unacked", queue.unacked},
                          {"consumers", queue.consumers},
                          {"bytes", queue.bytes},
                          {"durable", queue.durable}});
    }
    co_return rpc::json(queues);
}

Admin::Task Admin::purge(rpc::Request request) {
    const Result<std::uint64_t> purged = server_.purge(request.parameters["name"]);
    if (!purged) co_return rpc::error(purged.error());
    co_return rpc::json({{"purged", *purged}});
}

Admin::Task Admin::get_status(rpc::Request) {
    co_return rpc::json({{"revision", server_.broker().config().revision},
                         {"connections", server_.connections()},
                         {"queues", server_.broker().queue_stats().size()},
                         {"segments", server_.log().stats().segments},
                         {"held_back", server_.log().held_back()},
                         {"read_failure", server_.log().stats().read_failure}});
}

Admin::Task Admin::get_metrics(rpc::Request) {
    co_return rpc::text(metrics_text(server_), "text/plain; version=0.0.4; charset=utf-8");
}

static void add_metric(std::string& text, std::string_view name, std::string_view type, std::uint64_t value) {
    fmt::format_to(std::back_inserter(text), "# TYPE havn_broker_{0} {1}\nhavn_broker_{0} {2}\n", name, type,
                   value);
}

// Prometheus's rules for label values: backslash, quote and newline are escaped.
static std::string label(std::string_view value) {
    std::string escaped;
    for (const char c : value) {
        if (c == '\n') {
            escaped += "\\n";
            continue;
        }
        if (c == '\\' || c == '"') escaped += '\\';
        escaped += c;
    }
    return escaped;
}

std::string metrics_text(Server& server) {
    std::string text;
    const Counters& counters = server.broker().counters();
    add_metric(text, "published_total", "counter", counters.published);
    add_metric(text, "unroutable_total", "counter", counters.unroutable);
    add_metric(text, "confirmed_total", "counter", counters.confirmed);
    add_metric(text, "delivered_total", "counter", counters.delivered);
    add_metric(text, "redelivered_total", "counter", counters.redelivered);
    add_metric(text, "acknowledged_total", "counter", counters.acknowledged);
    add_metric(text, "dead_lettered_total", "counter", counters.dead_lettered);
    add_metric(text, "expired_total", "counter", counters.expired);
    add_metric(text, "connections", "gauge", server.connections());
    add_metric(text, "content_bytes", "gauge", server.broker().content_bytes());
    const Log::Stats log = server.log().stats();
    add_metric(text, "log_segments", "gauge", log.segments);
    add_metric(text, "log_syncs_total", "counter", log.syncs);
    add_metric(text, "log_bytes_total", "counter", log.bytes);
    add_metric(text, "log_spoilt_bytes", "gauge", log.spoilt_bytes);
    add_metric(text, "log_read_failures_total", "counter", log.read_failures);
    add_metric(text, "publishers_held_back", "gauge", server.log().held_back() ? 1 : 0);

    const std::vector<QueueStats> queues = server.broker().queue_stats();
    struct Gauge {
        const char* name;
        std::uint64_t QueueStats::* value;
    };
    for (const Gauge& gauge :
         {Gauge{"queue_ready", &QueueStats::ready}, Gauge{"queue_unacked", &QueueStats::unacked},
          Gauge{"queue_consumers", &QueueStats::consumers}, Gauge{"queue_bytes", &QueueStats::bytes}}) {
        fmt::format_to(std::back_inserter(text), "# TYPE havn_broker_{} gauge\n", gauge.name);
        for (const QueueStats& queue : queues) {
            fmt::format_to(std::back_inserter(text), "havn_broker_{}{{queue=\"{}\"}} {}\n", gauge.name,
                           label(queue.name), queue.*gauge.value);
        }
    }
    return text;
}

}  // namespace havn::broker
