#include "broker/shell/admin.h"

#include <fmt/format.h>

#include "base/text/prometheus.h"

namespace havn::broker {

Admin::Admin(io::Loop& loop, Server& server) : server_(server), rpc_(loop.executor()) {
    rpc_.route("PUT", "/config", [this](rpc::Request request) { return put_config(std::move(request)); });
    rpc_.route("GET", "/queues", [this](rpc::Request request) { return get_queues(std::move(request)); });
    for (const char* path : {"/queues/{name}/purge", "/vhosts/{vhost}/queues/{name}/purge"}) {
        rpc_.route("POST", path, [this](rpc::Request request) { return purge(std::move(request)); });
    }
    rpc_.route("GET", "/status", [this](rpc::Request request) { return get_status(std::move(request)); });
    rpc_.route("GET", "/metrics", [this](rpc::Request request) { return get_metrics(std::move(request)); });
}

Admin::Task Admin::put_config(rpc::Request request) {
    Result<Json> json = request.json();
    if (!json) co_return rpc::error(json.error());
    Result<Config> config = config_from_json(*json);
    if (!config) co_return rpc::error(config.error());
    if (Result<> applied = server_.apply(*config); !applied) co_return rpc::error(applied.error());
    co_return rpc::json({{"revision", config->revision}});
}

Admin::Task Admin::get_queues(rpc::Request) {
    Json queues = Json::array();
    for (const QueueStats& queue : server_.broker().queue_stats()) {
        queues.push_back({{"vhost", queue.vhost},
                          {"name", queue.name},
                          {"ready", queue.ready},
                          {"unacked", queue.unacked},
                          {"consumers", queue.consumers},
                          {"bytes", queue.bytes},
                          {"durable", queue.durable}});
    }
    co_return rpc::json(queues);
}

Admin::Task Admin::purge(rpc::Request request) {
    const auto named = request.parameters.find("vhost");
    const std::string vhost = named == request.parameters.end() ? "/" : named->second;
    const Result<std::uint64_t> purged = server_.purge(vhost, request.parameters["name"]);
    if (!purged) co_return rpc::error(purged.error());
    co_return rpc::json({{"purged", *purged}});
}

Admin::Task Admin::get_status(rpc::Request) {
    const Log::Stats log = server_.log().stats();
    Json status{{"revision", server_.broker().config().revision},
                {"connections", server_.connections()},
                {"queues", server_.broker().queue_stats().size()},
                {"segments", log.segments},
                {"log_bytes", log.log_bytes},
                {"live_bytes", log.live_bytes},
                {"disk_free_bytes", log.disk_free_bytes},
                {"held_back", !server_.broker().alarm().empty()},
                {"reason", server_.broker().alarm()},
                {"memory", server_.broker().memory_used()},
                {"memory_max", server_.broker().config().memory_bytes},
                {"connections_max", server_.connections_max()},
                {"connections_not_read", server_.connections_not_read()},
                {"read_failure", log.read_failure},
                {"parked_queues", server_.broker().parked_queues()}};
    if (log.shortage) {
        status["held_back_cause"] = log.shortage->cause;
        status["held_back_since"] =
            std::chrono::floor<seconds>(log.shortage->since.time_since_epoch()).count();
    }
    co_return rpc::json(status);
}

Admin::Task Admin::get_metrics(rpc::Request) {
    co_return rpc::text(metrics_text(server_), std::string(prometheus::content_type));
}

std::string metrics_text(Server& server) {
    prometheus::Writer out;
    const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                         std::uint64_t value) {
        out.value(fmt::format("havn_broker_{}", name), type, help, value);
    };
    const Counters& counters = server.broker().counters();
    add("published_total", "counter", "Messages that clients published.", counters.published);
    add("unroutable_total", "counter", "Messages that no queue took.", counters.unroutable);
    add("confirmed_total", "counter", "Messages confirmed to their publisher.", counters.confirmed);
    add("delivered_total", "counter", "Messages sent to consumers, deliveries again included.",
        counters.delivered);
    add("redelivered_total", "counter", "Messages sent to a consumer again.", counters.redelivered);
    add("acknowledged_total", "counter", "Messages acknowledged by their consumer.", counters.acknowledged);
    add("dead_lettered_total", "counter", "Messages that went to a dead-letter exchange.",
        counters.dead_lettered);
    add("expired_total", "counter", "Messages whose time to live ran out.", counters.expired);
    add("connections", "gauge", "Client connections open.", server.connections());
    add("connections_max", "gauge", "Client connections there may be.", server.connections_max());
    add("connections_refused_total", "counter", "Connections refused beyond that.",
        server.connections_refused());
    add("connections_not_read", "gauge",
        "Client connections that leave so much unread that they are not read.",
        server.connections_not_read());
    add("memory_bytes", "gauge", "Bytes held: messages, places in queues, output.",
        server.broker().memory_used());
    add("memory_max_bytes", "gauge", "Bytes beyond which publishers are held back.",
        server.broker().config().memory_bytes);
    add("content_bytes", "gauge", "Bytes of message bodies held in memory.", server.broker().content_bytes());
    const Log::Stats log = server.log().stats();
    add("log_segments", "gauge", "Files of the log.", log.segments);
    add("log_syncs_total", "counter", "Times the log was synced to the disk.", log.syncs);
    add("log_bytes_total", "counter", "Bytes written to the log.", log.bytes);
    add("log_spoilt_bytes", "gauge", "Bytes of the log that could not be read at the start.",
        log.spoilt_bytes);
    add("log_read_failures_total", "counter", "Messages that could not be read back from the log.",
        log.read_failures);
    add("log_moved_messages_total", "counter", "Messages copied so that their segment could go.", log.moved);
    add("log_moved_bytes_total", "counter", "Bytes of these.", log.moved_bytes);
    add("log_sealed_bytes", "gauge", "Bytes of all finished segments.", log.log_bytes);
    add("log_live_bytes", "gauge", "Bytes of these that are still needed, about.", log.live_bytes);
    add("disk_free_bytes", "gauge", "Bytes free on the file system of the log.", log.disk_free_bytes);
    add("publishers_held_back", "gauge", "Whether publishers wait for disk or memory: 1 when so.",
        server.broker().alarm().empty() ? 0 : 1);
    add("disk_full", "gauge", "Whether the log has no room: 1 when it has none.",
        server.log().held_back() ? 1 : 0);

    const std::vector<QueueStats> queues = server.broker().queue_stats();
    const bool one_vhost = server.broker().vhosts() <= 1;
    struct Gauge {
        std::string_view name, help;
        std::uint64_t QueueStats::* value;
    };
    for (const Gauge& gauge :
         {Gauge{"havn_broker_queue_ready", "Messages waiting in a queue.", &QueueStats::ready},
          Gauge{"havn_broker_queue_unacked", "Messages delivered and not acknowledged.",
                &QueueStats::unacked},
          Gauge{"havn_broker_queue_consumers", "Consumers of a queue.", &QueueStats::consumers},
          Gauge{"havn_broker_queue_bytes", "Bytes of the messages of a queue.", &QueueStats::bytes}}) {
        out.family(gauge.name, "gauge", gauge.help);
        for (const QueueStats& queue : queues) {
            if (one_vhost) {
                out.sample({{"queue", queue.name}}, queue.*gauge.value);
            } else {
                out.sample({{"vhost", queue.vhost}, {"queue", queue.name}}, queue.*gauge.value);
            }
        }
    }
    return out.take();
}

}  // namespace havn::broker
