#include "manifest/keys.h"

#include "base/assert.h"
#include "base/text/program_name.h"
#include "manifest/syntax/forms.h"

namespace havn::manifest {
namespace {

template <auto Member>
struct Of;
template <class Struct, class Value, Value Struct::* Member>
struct Of<Member> {
    using Owner = Struct;
};

template <auto Member>
Slot at(Target target) {
    return std::visit(
        [](auto* object) -> Slot {
            if constexpr (requires { object->*Member; }) return &(object->*Member);
            HAVN_ASSERT(false, "a key is only asked of the struct it belongs to");
        },
        target);
}

template <auto Member>
auto& inside(Target target) {
    return std::get<typename Of<Member>::Owner*>(target)->*Member;
}

// [gateway]: there always is one.
template <auto Member>
Target open_plain(Target parent, std::string_view) {
    return &inside<Member>(parent);
}
template <auto Member>
std::vector<std::pair<std::string, Target>> each_plain(Target parent) {
    return {{"", &inside<Member>(parent)}};
}

// [service.NAME.healthcheck]: there may be one.
template <auto Member>
Target open_optional(Target parent, std::string_view) {
    return &inside<Member>(parent).emplace();
}
template <auto Member>
std::vector<std::pair<std::string, Target>> each_optional(Target parent) {
    auto& value = inside<Member>(parent);
    if (!value) return {};
    return {{"", &*value}};
}

std::string& name_of(auto& element) {
    return element.name;
}
std::string& name_of(Route& route) {
    return route.key;
}

// [service.NAME]: any number of them.
template <auto Member>
Target open_named(Target parent, std::string_view name) {
    auto& element = inside<Member>(parent).emplace_back();
    name_of(element) = name;
    return &element;
}
template <auto Member>
std::vector<std::pair<std::string, Target>> each_named(Target parent) {
    std::vector<std::pair<std::string, Target>> all;
    for (auto& element : inside<Member>(parent)) all.emplace_back(name_of(element), &element);
    return all;
}

Target open_top(Target, std::string_view) {
    HAVN_ASSERT(false, "the top has no parent");
}
std::vector<std::pair<std::string, Target>> each_top(Target) {
    return {};
}

bool to_service(Target target) {
    return !std::get<Route*>(target)->service.empty();
}
bool to_queue(Target target) {
    return !std::get<Route*>(target)->queue.empty();
}
bool embedded(Target target) {
    return std::get<Broker*>(target)->url.empty();
}

constexpr bool (*always)(Target) = nullptr;
constexpr bool (*any)(std::string_view) = nullptr;
constexpr std::int64_t kilobyte = 1'024, megabyte = kilobyte << 10, gigabyte = megabyte << 10;
constexpr std::int64_t second = 1'000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
constexpr std::string_view not_enforced = "recorded, but not enforced by this version";
constexpr std::string_view service_route = "a route to a service", queue_route = "a route to a queue";

const Section section_table[] = {
    {"", "", "", false, false, "manifest", "What concerns the application as a whole.", "app = \"shop\"",
     open_top, each_top},
    {"gateway", "", "gateway", false, false, "gateway", "Where requests come in from outside.",
     "listen = [\"0.0.0.0:8080\"]", open_plain<&Manifest::gateway>, each_plain<&Manifest::gateway>},
    {"gateway.limits", "gateway", "limits", false, false, "limits",
     "What a client may cost before it is refused.", "limits = { max_head = \"16K\" }",
     open_plain<&Gateway::limits>, each_plain<&Gateway::limits>},
    {"broker", "", "broker", false, false, "broker", "The durable queue, AMQP 0-9-1.",
     "listen = [\"127.0.0.1:5672\"]", open_plain<&Manifest::broker>, each_plain<&Manifest::broker>},
    {"metrics", "", "metrics", false, false, "metrics",
     "Where Prometheus finds the numbers of all parts. They can always be had from run/control.sock.",
     "listen = [\"127.0.0.1:9464\"]", open_plain<&Manifest::metrics>, each_plain<&Manifest::metrics>},
    {"queue.*", "", "queue", true, false, "queue",
     "A durable queue, declared before anything starts. It is never deleted because it left the manifest.",
     "[queue.invoices]", open_named<&Manifest::queues>, each_named<&Manifest::queues>},
    {"service.*", "", "service", true, false, "service",
     "A program that answers HTTP on $PORT. It finds the broker in $AMQP_URL and each service it depends on "
     "in "
     "$NAME_URL.",
     "[service.storefront]", open_named<&Manifest::services>, each_named<&Manifest::services>},
    {"service.*.healthcheck", "service.*", "healthcheck", false, true, "healthcheck",
     "An HTTP GET that says whether an instance is ready: 200 to 399 is. Without it, a service is ready when "
     "$PORT "
     "accepts.",
     "healthcheck = { path = \"/up\" }", open_optional<&Service::healthcheck>,
     each_optional<&Service::healthcheck>},
    {"worker.*", "", "worker", true, false, "worker",
     "A program that takes no requests: it finds the broker in $AMQP_URL and each service it depends on in "
     "$NAME_URL.",
     "[worker.invoice]", open_named<&Manifest::workers>, each_named<&Manifest::workers>},
    {"worker.*.scale", "worker.*", "scale", false, true, "scale",
     "How many instances the worker may have. This version runs `min` of them.",
     "scale = { min = 1, max = 8 }", open_optional<&Worker::scale>, each_optional<&Worker::scale>},
    {"route.*", "", "route", true, false, "route",
     "Where requests go, by /path or host/path. A path matches whole segments and everything below it, the "
     "longest match wins, and a host is exact or *.domain. Escapes are decoded before and empty, . and .. "
     "segments resolved; a path that another program may read as one of another route (%2F, \\, ;, ..) is "
     "answered 400. Services get the path as it was sent.",
     "[route.\"/\"]", open_named<&Manifest::routes>, each_named<&Manifest::routes>},
    {"route.*.fallback", "route.*", "fallback", false, true, "fallback",
     "The answer given when the service does not answer in time or cannot be reached.",
     "fallback = { status = 200, body = \"…\" }", open_optional<&Route::fallback>,
     each_optional<&Route::fallback>},
};

const Key key_table[] = {
    // The top of the file
    {"", "app", Type::text, 0, 0, "", is_program_name, program_name_form,
     "The name of the application; else the folder's.", "\"shop\"", "", Effect::none, always, "",
     at<&Manifest::app>},
    {"", "residency", Type::texts, 0, 64, "", is_jurisdiction,
     "a code of two capitals, such as \"NO\" or \"EU\"", "Where hosts, backups and log sinks must be.",
     "[\"NO\"]", not_enforced, Effect::none, always, "", at<&Manifest::residency>},

    // [gateway]
    {"gateway", "listen", Type::texts, 1, 64, "", is_listen_address, listen_form,
     "Addresses that accept HTTP from outside.", "[\"0.0.0.0:8080\"]", "", Effect::edge_listeners, always, "",
     at<&Gateway::listen>},
    {"gateway", "threads", Type::integer, 0, 256, "", any, "", "Threads; 0 is one per core.", "2", "",
     Effect::requests, always, "", at<&Gateway::threads>},
    {"gateway", "trusted_proxies", Type::texts, 0, 256, "", is_cidr, cidr_form,
     "Peers whose X-Forwarded-* headers are believed and extended; those of others are replaced.",
     "[\"10.0.0.0/8\"]", "", Effect::requests, always, "", at<&Gateway::trusted_proxies>},

    {"gateway", "memory", Type::size, 0, 1'024 * gigabyte, "", any, "",
     "Memory for request bodies on their way into queues; when it is full, jobs are answered 503. 0B is an "
     "eighth of the host's memory, 64M at least.",
     "\"256M\"", "", Effect::requests, always, "", at<&Gateway::memory>},
    {"gateway", "confirm_timeout", Type::duration, 100, 10 * minute, "", any, "",
     "How long the broker may take to confirm a job before the request is answered 503.", "\"5s\"", "",
     Effect::requests, always, "", at<&Gateway::confirm_timeout>},

    // [gateway.limits]
    {"gateway.limits", "max_head", Type::size, kilobyte, megabyte, "", any, "",
     "Bytes of a request's line and headers together; more is answered 431.", "\"16K\"", "", Effect::requests,
     always, "", at<&Limits::max_head>},
    {"gateway.limits", "max_headers", Type::integer, 8, 1'000, "", any, "",
     "Header lines of a request; more is answered 431.", "100", "", Effect::requests, always, "",
     at<&Limits::max_headers>},
    {"gateway.limits", "head_timeout", Type::duration, 100, 10 * minute, "", any, "",
     "From the first byte of a request to the end of its headers.", "\"10s\"", "", Effect::requests, always,
     "", at<&Limits::head_timeout>},
    {"gateway.limits", "idle_timeout", Type::duration, second, hour, "", any, "",
     "How long a connection is kept between requests.", "\"75s\"", "", Effect::requests, always, "",
     at<&Limits::idle_timeout>},
    {"gateway.limits", "max_connections", Type::integer, 16, 1'000'000, "", any, "",
     "Connections from outside; when as many are open, those idle for longest make room.", "20000", "",
     Effect::requests, always, "", at<&Limits::max_connections>},
    {"gateway.limits", "max_connections_per_address", Type::integer, 0, 1'000'000, "", any, "",
     "Of them, those of one IPv4 address or IPv6 /64, but for trusted proxies; 0 is a quarter of all.", "200",
     "", Effect::requests, always, "", at<&Limits::max_connections_per_address>},

    // [broker]
    {"broker", "listen", Type::texts, 1, 64, "", is_listen_address, listen_form,
     "Addresses that accept AMQP 0-9-1; $AMQP_URL names the first.", "[\"127.0.0.1:5672\"]", "",
     Effect::broker_address, embedded, "the embedded broker, not with `url`", at<&Broker::listen>},
    {"broker", "url", Type::text, 0, 0, "", is_amqp_url, "amqp://USER:PASSWORD@HOST:PORT/VHOST",
     "Another broker to use instead of the embedded one, such as a RabbitMQ cluster.",
     "\"amqp://shop:secret@10.0.0.5:5672/\"", "", Effect::broker_address, always, "", at<&Broker::url>},

    {"broker", "memory", Type::size, 0, 1'024 * gigabyte, "", any, "",
     "What messages, connections and answers may take before publishers are held back; 0 is a quarter of the "
     "host's memory. At least 64M.",
     "\"1G\"", "", Effect::messages, embedded, "the embedded broker, not with `url`", at<&Broker::memory>},
    {"broker", "max_connections", Type::integer, 16, 1'000'000, "", any, "",
     "AMQP connections; fewer where the limit of open files is lower.", "20000", "", Effect::requests,
     embedded, "the embedded broker, not with `url`", at<&Broker::max_connections>},
    {"broker", "users", Type::env, 0, 1'000, "", is_program_name, program_name_form,
     "Who may log in from other hosts, and with which password. Besides them there are a user that "
     "Havn makes for $AMQP_URL, and guest, from this host only.",
     "{ reports = \"a long password\" }", "", Effect::requests, embedded,
     "the embedded broker, not with `url`", at<&Broker::users>},

    // [metrics]
    {"metrics", "listen", Type::texts, 0, 8, "", is_listen_address, listen_form,
     "Addresses that answer GET /metrics, and nothing else, in Prometheus' text format. Whoever reaches one "
     "reads names of services, routes and queues, and numbers; none written is none.",
     "[\"127.0.0.1:9464\"]", "", Effect::metrics_listeners, always, "", at<&Metrics::listen>},

    // [queue.*]
    {"queue.*", "ttl", Type::duration, 1, 365 * day, "", any, "",
     "How long a message may wait before it is dropped.", "\"24h\"", "", Effect::messages, always, "",
     at<&Queue::ttl>},
    {"queue.*", "max_attempts", Type::integer, 0, 1'000'000, "", any, "",
     "Deliveries after which a message that keeps failing goes to the queue NAME.failed; 0 is no limit.", "5",
     "", Effect::messages, always, "", at<&Queue::max_attempts>},
    {"queue.*", "backoff", Type::backoff, 0, day, "", any, "",
     "How long a message that failed waits for its next delivery: from the first, doubling, up to the "
     "second.",
     "\"1s..5m\"", "", Effect::messages, always, "", at<&Queue::backoff>},

    // [service.*] and [worker.*]
    {"program", "command", Type::text, 0, 0, "", is_command, "a command line on one line",
     "What to run; a shell runs it when it needs one. Required, here or in the Procfile.",
     "\"python3 storefront.py\"", "", Effect::restart, always, "", at<&Program::command>},
    {"program", "instances", Type::integer, 0, 1'000, "", any, "",
     "How many of it run. A change of the program replaces a quarter of them at a time, one where there are "
     "fewer than eight: a service's old instance stops when its successor is ready, a worker's successor "
     "starts when the old one has ended.",
     "2", "", Effect::instances, always, "", at<&Program::instances>},
    {"program", "directory", Type::text, 0, 0, "", is_text, "a path",
     "Where it runs, from the manifest's folder.", "\"backend\"", "", Effect::restart, always, "",
     at<&Program::directory>},
    {"program", "user", Type::text, 0, 0, "", is_user, "the name of a user of this host",
     "Whom it runs as, when Havn runs as root; else the owner of the folder, and in root's folder a user "
     "of its own. A number will do. Only a file of root's, or of that user's, can say it.",
     "\"shop\"", "", Effect::restart, always, "", at<&Program::user>},
    {"program", "env", Type::env, 0, 1'000, "", is_variable, "names such as LOG_LEVEL",
     "Environment variables it gets besides Havn's own.", "{ LOG_LEVEL = \"info\" }", "", Effect::restart,
     always, "", at<&Program::env>},
    {"program", "depends_on", Type::texts, 0, 100, "", is_program_name, program_name_form,
     "Services and workers that must be ready before it starts.", "[\"inventory\"]", "", Effect::restart,
     always, "", at<&Program::depends_on>},
    {"program", "isolation", Type::choice, 0, 0, "process|container|vm", any, "",
     "What separates it from others.", "\"process\"", "process in this version, nothing else",
     Effect::restart, always, "", at<&Program::isolation>},
    {"program", "memory", Type::size, megabyte, 1'024 * gigabyte, "", any, "",
     "Memory each instance may use.", "\"256M\"", not_enforced, Effect::none, always, "",
     at<&Program::memory>},
    {"program", "cpus", Type::number, 0, 1'024, "", any, "", "Cores each instance may use.", "0.5",
     not_enforced, Effect::none, always, "", at<&Program::cpus>},
    {"program", "startsecs", Type::duration, 0, hour, "", any, "",
     "A worker is ready once it has lived this long; `up` counts it so then, and what ends later is started "
     "again. A life shorter than this, or than 100 ms, is a failed start, of a service too.",
     "\"1s\"", "", Effect::restart, always, "", at<&Program::startsecs>},
    {"program", "startretries", Type::integer, 0, 1'000, "", any, "",
     "Failed starts that are retried quickly; then it is retried slowly, for ever.", "3", "", Effect::restart,
     always, "", at<&Program::startretries>},
    {"program", "start_timeout", Type::duration, 100, hour, "", any, "",
     "How long it may take to become ready before it counts as failed.", "\"30s\"", "", Effect::restart,
     always, "", at<&Program::start_timeout>},
    {"program", "stop_timeout", Type::duration, 0, hour, "", any, "",
     "How long it may take to stop after SIGTERM before SIGKILL ends it and its children.", "\"10s\"", "",
     Effect::restart, always, "", at<&Program::stop_timeout>},
    {"program", "log_max_bytes", Type::size, 4 * kilobyte, 16 * gigabyte, "", any, "",
     "Size at which an instance's log file is rotated.", "\"50M\"", "", Effect::restart, always, "",
     at<&Program::log_max_bytes>},
    {"program", "log_backups", Type::integer, 0, 1'000, "", any, "", "Rotated log files kept, per instance.",
     "10", "", Effect::restart, always, "", at<&Program::log_backups>},

    // [service.*]
    {"service.*", "balance", Type::choice, 0, 0, "round_robin|least_conn", any, "",
     "How an instance is picked; what a route of the service says must agree.", "\"least_conn\"", "",
     Effect::requests, always, "", at<&Service::balance>},
    {"service.*", "max_fails", Type::integer, 0, 1'000, "", any, "",
     "Failures within fail_timeout after which an instance gets no requests for fail_timeout; 0 is never.",
     "3", "", Effect::requests, always, "", at<&Service::max_fails>},
    {"service.*", "fail_timeout", Type::duration, 100, hour, "", any, "", "See max_fails.", "\"10s\"", "",
     Effect::requests, always, "", at<&Service::fail_timeout>},
    {"service.*", "keepalive", Type::integer, 0, 10'000, "", any, "",
     "Idle connections kept open, per instance and gateway thread.", "64", "", Effect::requests, always, "",
     at<&Service::keepalive>},
    {"service.*", "weights", Type::integers, 1, 256, "", any, "",
     "Shares of the requests, of instance 1, 2, …; an instance without one counts 1.", "[3, 1]", "",
     Effect::requests, always, "", at<&Service::weights>},
    {"service.*", "connect_timeout", Type::duration, 1, hour, "", any, "",
     "As for a route, where other services and workers call it by $NAME_URL.", "\"50ms\"", "",
     Effect::requests, always, "", at<&Service::connect_timeout>},
    {"service.*", "idle_timeout", Type::duration, 1, day, "", any, "",
     "As for a route, where other services and workers call it by $NAME_URL: how long an exchange may go "
     "without a byte from either side before it is answered 504. No other deadline holds there.",
     "\"5m\"", "", Effect::requests, always, "", at<&Service::idle_timeout>},
    {"service.*", "tunnel_timeout", Type::duration, 1, 30 * day, "", any, "",
     "The same for tunnels (WebSocket) and event streams (text/event-stream).", "\"1h\"", "",
     Effect::requests, always, "", at<&Service::tunnel_timeout>},

    // [service.*.healthcheck]
    {"service.*.healthcheck", "path", Type::text, 0, 0, "", is_request_path, "a path that begins with /",
     "What is asked for.", "\"/up\"", "", Effect::restart, always, "", at<&HealthCheck::path>},
    {"service.*.healthcheck", "interval", Type::duration, 10, hour, "", any, "", "Time between two checks.",
     "\"1s\"", "", Effect::restart, always, "", at<&HealthCheck::interval>},
    {"service.*.healthcheck", "timeout", Type::duration, 1, 10 * minute, "", any, "",
     "How long an answer may take.", "\"200ms\"", "", Effect::restart, always, "", at<&HealthCheck::timeout>},
    {"service.*.healthcheck", "retries", Type::integer, 1, 1'000, "", any, "",
     "Failures in a row after which a ready instance is not ready any more.", "3", "", Effect::restart,
     always, "", at<&HealthCheck::retries>},

    // [worker.*]
    {"worker.*", "queue", Type::text, 0, 0, "", is_queue_name, queue_form,
     "The queue it works on, a [queue.NAME].", "\"invoices\"", "", Effect::none, always, "",
     at<&Worker::queue>},

    // [worker.*.scale]
    {"worker.*.scale", "min", Type::integer, 0, 1'000, "", any, "", "Instances that always run.", "1", "",
     Effect::none, always, "", at<&Scale::min>},
    {"worker.*.scale", "max", Type::integer, 1, 1'000, "", any, "", "Instances there may be at most.", "8",
     "recorded, but this version runs `min` instances whatever the backlog", Effect::none, always, "",
     at<&Scale::max>},
    {"worker.*.scale", "backlog_per_worker", Type::integer, 1, 1'000'000, "", any, "",
     "Messages waiting or being worked on, per instance, above which one more is started.", "100", "",
     Effect::none, always, "", at<&Scale::backlog_per_worker>},
    {"worker.*.scale", "cooldown", Type::duration, 0, day, "", any, "",
     "Time between two changes of the number.", "\"30s\"", "", Effect::none, always, "",
     at<&Scale::cooldown>},

    // [route.*]
    {"route.*", "service", Type::text, 0, 0, "", is_program_name, program_name_form,
     "The service that answers; or `queue`.", "\"storefront\"", "", Effect::requests, always, "",
     at<&Route::service>},
    {"route.*", "queue", Type::text, 0, 0, "", is_queue_name, queue_form,
     "The queue the request is put into, answered 202 once it is durable; or `service`.", "\"invoices\"", "",
     Effect::requests, always, "", at<&Route::queue>},
    {"route.*", "methods", Type::texts, 0, 32, "", is_method, "an HTTP method in capitals, such as \"GET\"",
     "Methods it takes; none written is all, and POST for a queue. HEAD follows GET. OPTIONS is answered by "
     "the gateway with the list, unless it is named here or all are taken: then by the service, as CORS "
     "needs "
     "it.",
     "[\"POST\"]", "", Effect::requests, always, "", at<&Route::methods>},
    {"route.*", "balance", Type::choice, 0, 0, "round_robin|least_conn", any, "",
     "How an instance is picked; all routes of one service must agree.", "\"least_conn\"", "",
     Effect::requests, to_service, service_route, at<&Route::balance>},
    {"route.*", "connect_timeout", Type::duration, 1, hour, "", any, "",
     "How long connecting to an instance may take.", "\"50ms\"", "", Effect::requests, to_service,
     service_route, at<&Route::connect_timeout>},
    {"route.*", "timeout", Type::duration, 1, day, "", any, "",
     "A true deadline for the whole exchange, to the last byte of the answer; tunnels are spared. "
     "When it passes: 408 while the request's body is owed, else 504 or the fallback; an answer that had "
     "begun is cut. None written is none.",
     "\"100ms\"", "", Effect::requests, to_service, service_route, at<&Route::timeout>},
    {"route.*", "idle_timeout", Type::duration, 1, day, "", any, "",
     "How long an exchange may go without a byte from either side. When it passes: as for timeout.",
     "\"30s\"", "", Effect::requests, always, "", at<&Route::idle_timeout>},
    {"route.*", "tunnel_timeout", Type::duration, 1, 30 * day, "", any, "",
     "The same for tunnels (WebSocket) and event streams (text/event-stream). A peer that vanished without a "
     "word is found out sooner, by TCP keep-alive: two minutes after its last sign.",
     "\"1h\"", "", Effect::requests, to_service, service_route, at<&Route::tunnel_timeout>},
    {"route.*", "max_body", Type::size, 0, 128 * megabyte, "", any, "",
     "Size of a request body that may go into the queue; more is answered 413.", "\"16M\"", "",
     Effect::requests, to_queue, queue_route, at<&Route::max_body>},
    {"route.*", "headers", Type::texts, 0, 64, "", is_header_name, "the name of an HTTP header",
     "Request headers carried into the message, beside `method`, `path`, `query`, `x-forwarded-for` and "
     "`x-request-id`; several of one name are joined.",
     "[\"X-Request-Id\"]", "", Effect::requests, to_queue, queue_route, at<&Route::headers>},

    // [route.*.fallback]
    {"route.*.fallback", "status", Type::integer, 200, 599, "", any, "", "Its status.", "200", "",
     Effect::requests, always, "", at<&Fallback::status>},
    {"route.*.fallback", "type", Type::text, 0, 0, "", is_text, "a media type on one line",
     "Its Content-Type.", "\"application/json\"", "", Effect::requests, always, "", at<&Fallback::type>},
    {"route.*.fallback", "body", Type::text, 0, 0, "", any, "a text", "Its body.",
     "'{\"stock\":\"unknown\"}'", "", Effect::requests, always, "", at<&Fallback::body>},
};

}  // namespace

std::span<const Section> sections() {
    return section_table;
}
std::span<const Key> keys() {
    return key_table;
}

const Section& section(std::string_view pattern) {
    for (const Section& row : section_table) {
        if (row.pattern == pattern) return row;
    }
    HAVN_ASSERT(false, "the pattern of a section stands in the table");
}

std::vector<const Section*> children(std::string_view pattern) {
    std::vector<const Section*> found;
    for (const Section& row : section_table) {
        if (row.parent == pattern && !row.key.empty()) found.push_back(&row);
    }
    return found;
}

bool belongs(const Key& key, std::string_view pattern) {
    if (key.section == "program") return pattern == "service.*" || pattern == "worker.*";
    return key.section == pattern;
}

std::vector<const Key*> keys_of(std::string_view pattern) {
    std::vector<const Key*> found;
    for (const Key& row : key_table) {
        if (belongs(row, pattern)) found.push_back(&row);
    }
    return found;
}

}  // namespace havn::manifest
