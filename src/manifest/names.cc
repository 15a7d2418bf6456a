#include "manifest/names.h"

#include <fmt/format.h>

#include "base/text/ascii.h"
#include "base/text/edit_distance.h"
#include "manifest/keys.h"
#include "manifest/syntax/forms.h"

namespace havn::manifest {
namespace {

// What other tools call it. `meant` is a key of the section, or, with `advice`, empty: then the advice stands
// alone.
struct Alias {
    std::string_view section;  // as in Key: "program" is both service.* and worker.*
    std::string_view names;    // "a|b"
    std::string_view meant;
    std::string_view advice;
};

constexpr Alias aliases[] = {
    {"", "services|process|processes|program|programs", "service", "[service.NAME]"},
    {"", "workers|jobs|job", "worker", "[worker.NAME]"},
    {"", "routes|paths|ingress", "route", "[route.\"/path\"]"},
    {"", "queues|topic|topics", "queue", "[queue.NAME]"},
    {"", "http|http_service|proxy|server|nginx|listen|port|ports", "gateway", "[gateway] listen"},
    {"", "rabbitmq|amqp|celery|redis", "broker", "[broker]"},
    {"", "prometheus|monitoring|telemetry|stats", "metrics", "[metrics] listen"},
    {"", "name|project", "app", ""},
    {"", "region|regions|primary_region|jurisdiction", "residency", ""},
    {"", "version", "", "the manifest has no version; leave it out"},
    {"gateway", "bind|address|addresses|port|ports|host", "listen", ""},
    {"gateway", "workers|worker_processes|nbthread|processes", "threads", ""},
    {"gateway", "set_real_ip_from|real_ip_from|proxies", "trusted_proxies", ""},
    {"gateway", "keepalive_timeout", "limits", "limits = { idle_timeout = \"75s\" }"},
    {"gateway.limits", "keepalive_timeout|keep_alive", "idle_timeout", ""},
    {"gateway.limits", "client_header_timeout|header_timeout", "head_timeout", ""},
    {"gateway.limits", "header_bytes|max_header_size|max_header_bytes", "max_head", ""},
    {"gateway.limits", "worker_connections|maxconn", "max_connections", ""},
    {"gateway.limits", "max_body|client_max_body_size", "",
     "a body to a service is streamed and has no limit; a route to a queue has max_body"},
    {"broker", "bind|address|addresses|port|ports", "listen", ""},
    {"broker", "uri|host|amqp_url|broker_url", "url", ""},
    {"metrics", "bind|address|addresses|port|ports|host", "listen", ""},
    {"queue.*", "message_ttl|x-message-ttl|expires|expiry|expiration", "ttl", ""},
    {"queue.*", "retries|max_retries|delivery_limit|attempts|x-delivery-limit", "max_attempts", ""},
    {"queue.*", "retry_delay|delay|back_off|retry", "backoff", ""},
    {"queue.*", "durable", "", "a queue of the manifest is always durable; leave it out"},
    {"program", "replicas|numprocs|count|quantity|processes|concurrency|scale_to", "instances", ""},
    {"program", "cmd|exec|run|start|entrypoint|script|args", "command", ""},
    {"program", "environment|env_vars|environ|variables", "env", ""},
    {"program", "cwd|workdir|working_dir|chdir|dir|root", "directory", ""},
    {"program", "mem|mem_limit|memory_limit|max_memory", "memory", ""},
    {"program", "cpu|cpu_limit|cpu_shares", "cpus", ""},
    {"program", "stopwaitsecs|kill_timeout|stop_grace_period|drain_timeout", "stop_timeout", ""},
    {"program", "start_period|grace_period|startup_timeout|deploy_timeout", "start_timeout", ""},
    {"program", "timeout", "", "start_timeout and stop_timeout say how long starting and stopping may take"},
    {"program", "min_uptime", "startsecs", ""},
    {"program", "max_restarts|retries", "startretries", ""},
    {"program", "health_check|health|check|checks|healthchecks|readiness_probe", "healthcheck", ""},
    {"program", "dependson|depends|needs|requires|after|links", "depends_on", ""},
    {"program", "stdout_logfile_maxbytes|max_size", "log_max_bytes", ""},
    {"program", "stdout_logfile_backups|max_file", "log_backups", ""},
    {"program", "uid|run_as", "user", ""},
    {"program", "port|ports|internal_port|expose", "",
     "every instance is told its own port in $PORT; listen there, and give a route to be reached from "
     "outside"},
    {"program", "restart|autorestart|autostart|exitcodes", "",
     "whatever ends is started again, at once and then ever more slowly; leave it out"},
    {"program", "stopsignal|stop_signal|kill_signal", "",
     "an instance is stopped with SIGTERM; leave it out"},
    {"program", "priority", "depends_on", ""},
    {"program", "image|build|volumes|mounts", "",
     "programs run as processes of this host, not from images; say what to run with command"},
    {"program", "env_file|secrets", "env", ""},
    {"program", "domain|domains|host|hosts", "", "a route says it: [route.\"shop.example/\"]"},
    {"service.*", "queue|queues", "",
     "a service takes requests; what takes messages is a worker: [worker.NAME] with queue = \"…\""},
    {"gateway", "tls|ssl|https|cert|certificate|certificates|acme|letsencrypt", "",
     "TLS is not there yet: put a proxy that has it (nginx, Caddy, HAProxy) before the gateway, and name its "
     "address in trusted_proxies"},
    {"service.*", "load_balancing|lb|strategy", "balance", ""},
    {"service.*", "weight", "weights", ""},
    {"worker.*", "queues", "queue", ""},
    {"worker.*", "autoscale|autoscaling", "scale", ""},
    {"service.*.healthcheck", "url|uri|endpoint|http", "path", ""},
    {"service.*.healthcheck", "period|every", "interval", ""},
    {"service.*.healthcheck", "unhealthy_threshold|failures|failure_threshold|max_fails", "retries", ""},
    {"service.*.healthcheck", "start_period|grace_period", "", "the service itself has start_timeout"},
    {"service.*.healthcheck", "test|cmd|command", "", "a check is an HTTP GET on $PORT: path = \"/up\""},
    {"worker.*.scale", "min_instances|minimum|min_replicas|min_quantity", "min", ""},
    {"worker.*.scale", "max_instances|maximum|max_replicas|max_quantity", "max", ""},
    {"worker.*.scale", "messages_per_worker|per_worker|backlog", "backlog_per_worker", ""},
    {"worker.*.scale", "cooldown_period_seconds|cool_down|cooldown_period", "cooldown", ""},
    {"route.*", "upstream|backend|proxy_pass|to|target", "service", ""},
    {"route.*", "method|verbs", "methods", ""},
    {"route.*", "lb|load_balancer|load_balancing|strategy|policy", "balance", ""},
    {"route.*", "deadline|request_timeout", "timeout", ""},
    {"route.*", "read_timeout|proxy_read_timeout|send_timeout|proxy_send_timeout", "idle_timeout", ""},
    {"route.*", "timeout_tunnel|websocket_timeout", "tunnel_timeout", ""},
    {"route.*", "proxy_connect_timeout|dial_timeout", "connect_timeout", ""},
    {"route.*", "client_max_body_size|max_body_size|body_limit", "max_body", ""},
    {"route.*", "worker", "queue", ""},
    {"route.*", "path|host|domain", "", "the route's own key says it: [route.\"shop.example/path\"]"},
    {"route.*", "rewrite|strip_prefix|strip_path", "", "a path is passed on as it came; leave it out"},
    {"route.*.fallback", "code|status_code", "status", ""},
    {"route.*.fallback", "content_type|content-type|mime", "type", ""},
    {"route.*.fallback", "content|text|response|json", "body", ""},
};

bool alias_belongs(const Alias& alias, std::string_view pattern) {
    if (alias.section == "program") return pattern == "service.*" || pattern == "worker.*";
    return alias.section == pattern;
}

bool has_key(std::string_view pattern, std::string_view name) {
    return std::ranges::any_of(keys(),
                               [&](const Key& key) { return belongs(key, pattern) && key.name == name; }) ||
           std::ranges::any_of(children(pattern), [&](const Section* child) { return child->key == name; });
}

std::string alias_hint(std::string_view pattern, std::string_view name) {
    for (const Alias& alias : aliases) {
        if (!alias_belongs(alias, pattern)) continue;
        const std::vector<std::string> names = split(alias.names, '|');
        if (std::ranges::find(names, ascii_lower(name)) == names.end()) continue;
        if (alias.meant.empty()) return std::string(alias.advice);
        if (!alias.advice.empty()) {
            return fmt::format("did you mean `{}`? write {}", alias.meant, alias.advice);
        }
        if (has_key(pattern, alias.meant)) return fmt::format("did you mean `{}`?", alias.meant);
    }
    return {};
}

// "[service.NAME] has it": the key exists, elsewhere.
std::string elsewhere_hint(std::string_view name) {
    for (const Section& row : sections()) {
        if (!has_key(row.pattern, name)) continue;
        const auto is_it = [&](const Section* child) { return child->key == name; };
        if (row.pattern.empty() && std::ranges::any_of(children(""), is_it)) continue;  // a table of its own
        if (row.pattern.empty()) {
            return fmt::format("`{}` stands at the top of the file, before any [table]", name);
        }
        std::string shown(row.pattern);
        if (const std::size_t star = shown.find('*'); star != shown.npos) {
            shown.replace(star, 1, row.pattern.starts_with("route") ? "\"/path\"" : "NAME");
        }
        return fmt::format("`{}` is a key of [{}]", name, shown);
    }
    return {};
}

}  // namespace

std::string_view nearest(std::string_view name, const std::vector<std::string_view>& known) {
    std::size_t limit = std::min<std::size_t>(3, 1 + name.size() / 4);
    std::string_view best;
    for (const std::string_view candidate : known) {
        const std::size_t distance = edit_distance(ascii_lower(name), ascii_lower(candidate), limit);
        if (distance > limit || distance >= candidate.size()) continue;
        best = candidate;
        if (distance == 0) return best;
        limit = distance - 1;
    }
    return best;
}

std::string hint_for_unknown(std::string_view pattern, std::string_view name) {
    if (std::string hint = alias_hint(pattern, name); !hint.empty()) return hint;
    std::vector<std::string_view> known;
    for (const Key* key : keys_of(pattern)) known.push_back(key->name);
    for (const Section* child : children(pattern)) known.push_back(child->key);
    if (const std::string_view best = nearest(name, known); !best.empty()) {
        return fmt::format("did you mean `{}`?", best);
    }
    return elsewhere_hint(name);
}

}  // namespace havn::manifest
