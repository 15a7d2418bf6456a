#include "control/core/compile.h"

#include <algorithm>

#include "base/assert.h"
#include "base/text/path.h"
#include "manifest/manifest.h"
#include "manifest/syntax/amqp_url.h"

namespace havn::control {

namespace {

constexpr std::string_view internal_amqp = "unix:run/amqp.sock";  // how the gateway reaches our broker

}  // namespace

std::string app_name(const manifest::Manifest& manifest, const std::string& directory) {
    if (!manifest.app.empty()) return manifest.app;
    const std::string folder = last_name(directory);
    return folder.empty() ? "app" : folder;
}

namespace {

// An address to listen on, as one to connect to on this host.
std::string reachable(const std::string& listen) {
    const std::size_t colon = listen.rfind(':');
    const std::string host = listen.substr(0, colon);
    const std::string port = colon == std::string::npos ? "" : listen.substr(colon);
    if (host.empty() || host == "*" || host == "0.0.0.0") return "127.0.0.1" + port;
    if (host == "[::]") return "[::1]" + port;
    return listen;
}

std::string amqp_url(const manifest::Broker& broker, const std::string& password) {
    if (!broker.url.empty()) return broker.url;
    const std::string address = broker.listen.empty() ? "127.0.0.1:5672" : reachable(broker.listen.front());
    return "amqp://" + std::string(platform_user) + ":" + password + "@" + address + "/";
}

const std::string& listener_of(const Placement& placement, const std::string& service) {
    const auto found = placement.service_listeners.find(service);
    HAVN_ASSERT(found != placement.service_listeners.end(), "every service has a loopback address");
    return found->second;
}

std::map<std::string, std::string> environment_of(const manifest::Program& program,
                                                  const manifest::Manifest& manifest,
                                                  const Placement& placement) {
    std::map<std::string, std::string> environment = program.env;
    environment.emplace("HAVN_APP", app_name(manifest, placement.directory));
    environment.emplace("AMQP_URL", amqp_url(manifest.broker, placement.broker_password));
    for (const std::string& name : program.depends_on) {
        const auto service = std::ranges::find(manifest.services, name, &manifest::Service::name);
        if (service == manifest.services.end()) continue;  // a worker has no address
        environment.emplace(manifest::url_variable(name), "http://" + listener_of(placement, name));
    }
    return environment;
}

supervisor::Program compile_program(const manifest::Program& program, const manifest::Manifest& manifest,
                                    const Placement& placement) {
    return {.app = {},
            .name = program.name,
            .instances = program.instances,
            .command = program.command,
            .directory = path_from(placement.directory, program.directory),
            .user = program.user,
            .environment = environment_of(program, manifest, placement),
            .depends_on = program.depends_on,
            .health = {},
            .start_timeout = program.start_timeout,
            .startsecs = program.startsecs,
            .startretries = program.startretries,
            .stop_timeout = program.stop_timeout,
            .log_bytes_max = program.log_max_bytes,
            .log_backups = program.log_backups,
            .written_by = {}};
}

}  // namespace

std::vector<supervisor::Program> written_programs(const manifest::Manifest& manifest,
                                                  const std::string& directory) {
    std::vector<supervisor::Program> programs;
    const auto add = [&](const manifest::Program& program, supervisor::Kind kind) {
        supervisor::Program& written = programs.emplace_back();
        written.name = program.name;
        written.kind = kind;
        written.command = program.command;
        written.directory = path_from(directory, program.directory);
        written.user = program.user;
        written.environment = program.env;
    };
    for (const manifest::Service& service : manifest.services) add(service, supervisor::Kind::service);
    for (const manifest::Worker& worker : manifest.workers) add(worker, supervisor::Kind::worker);
    return programs;
}

namespace {

std::vector<supervisor::Listener> compile_listeners(const manifest::Manifest& manifest,
                                                    const Placement& placement) {
    std::vector<supervisor::Listener> listeners;
    for (const std::string& address : manifest.gateway.listen) {
        listeners.push_back({"edge", address, "gateway"});
    }
    for (const manifest::Service& service : manifest.services) {
        listeners.push_back({"service:" + service.name, listener_of(placement, service.name), "gateway"});
    }
    for (const std::string& address : manifest.metrics.listen) {
        listeners.push_back({"metrics", address, "control"});
    }
    if (!manifest.broker.url.empty()) return listeners;
    for (const std::string& address : manifest.broker.listen) {
        listeners.push_back({"amqp", address, "broker"});
    }
    listeners.push_back({"amqp", std::string(internal_amqp), "broker"});
    return listeners;
}

supervisor::Desired compile_supervisor(const manifest::Manifest& manifest, const Placement& placement) {
    supervisor::Desired desired;
    desired.revision = placement.revision;
    desired.app = app_name(manifest, placement.directory);
    desired.embedded_broker = manifest.broker.url.empty();
    desired.gateway_threads = manifest.gateway.threads;
    desired.listeners = compile_listeners(manifest, placement);
    for (const manifest::Service& service : manifest.services) {
        supervisor::Program program = compile_program(service, manifest, placement);
        program.kind = supervisor::Kind::service;
        if (const auto& check = service.healthcheck) {
            program.health =
                supervisor::HealthCheck{check->path, check->interval, check->timeout, check->retries};
        }
        desired.programs.push_back(std::move(program));
    }
    for (const manifest::Worker& worker : manifest.workers) {
        supervisor::Program program = compile_program(worker, manifest, placement);
        program.kind = supervisor::Kind::worker;
        desired.programs.push_back(std::move(program));
    }
    return desired;
}

gateway::Route compile_route(const manifest::Route& route) {
    gateway::Route compiled{.host = route.host,
                            .path = route.path,
                            .methods = route.methods,
                            .service = route.service,
                            .queue = route.queue,
                            .connect_timeout = route.connect_timeout,
                            .timeout = route.timeout,
                            .idle_timeout = route.idle_timeout,
                            .tunnel_timeout = route.tunnel_timeout,
                            .fallback = {},
                            .body_bytes_max = route.max_body,
                            .headers = route.headers};
    if (const auto& fallback = route.fallback) {
        compiled.fallback =
            gateway::Fallback{static_cast<std::uint16_t>(fallback->status), fallback->type, fallback->body};
    }
    return compiled;
}

Result<gateway::Config> compile_gateway(const manifest::Manifest& manifest, const Placement& placement) {
    gateway::Config config;
    config.revision = placement.revision;
    for (const manifest::Service& service : manifest.services) {
        const bool least = service.balance == manifest::Balance::least_conn;
        config.upstreams.push_back(
            {.name = service.name,
             .balance = least ? gateway::Balance::least_connections : gateway::Balance::round_robin,
             .max_fails = service.max_fails,
             .fail_timeout = service.fail_timeout,
             .keepalive = service.keepalive,
             .weights = service.weights,
             .connect_timeout = service.connect_timeout,
             .idle_timeout = service.idle_timeout,
             .tunnel_timeout = service.tunnel_timeout});
    }
    for (const manifest::Route& route : manifest.routes) config.routes.push_back(compile_route(route));
    const manifest::Limits& limits = manifest.gateway.limits;
    config.limits = {.head_bytes_max = static_cast<std::uint32_t>(limits.max_head),
                     .header_count_max = limits.max_headers,
                     .head_timeout = limits.head_timeout,
                     .idle_timeout = limits.idle_timeout,
                     .connections_max = limits.max_connections,
                     .connections_per_address = limits.max_connections_per_address};
    config.threads = manifest.gateway.threads;
    config.memory_bytes = manifest.gateway.memory;
    config.broker.confirm_timeout = manifest.gateway.confirm_timeout;
    config.trusted_proxies = manifest.gateway.trusted_proxies;
    config.broker.address = internal_amqp;
    config.broker.user = platform_user;
    config.broker.password = placement.broker_password;
    if (!manifest.broker.url.empty()) {
        const Result<manifest::AmqpUrl> url = manifest::parse_amqp_url(manifest.broker.url);
        if (!url) return std::unexpected(url.error());
        config.broker.address = url->host + ":" + std::to_string(url->port);
        config.broker.user = url->user;
        config.broker.password = url->password;
        config.broker.vhost = url->vhost;
    }
    return config;
}

broker::Config compile_broker(const manifest::Manifest& manifest, const Placement& placement) {
    broker::Config config;
    config.revision = placement.revision;
    config.memory_bytes = manifest.broker.memory;
    config.connections_max = manifest.broker.max_connections;
    config.users = {{std::string(platform_user), placement.broker_password, false}};
    const auto& users = manifest.broker.users;
    if (!users.contains("guest")) config.users.push_back({"guest", "guest", true});
    for (const auto& [name, password] : users) {
        if (name != platform_user) config.users.push_back({name, password, false});
    }
    for (const manifest::Queue& queue : manifest.queues) {
        config.vhosts[0].queues.push_back({.name = queue.name,
                                           .message_ttl = queue.ttl,
                                           .max_attempts = queue.max_attempts,
                                           .backoff_min = queue.backoff.min,
                                           .backoff_max = queue.backoff.max});
    }
    return config;
}

}  // namespace

Result<Compiled> compile(const manifest::Manifest& manifest, const Placement& placement) {
    Result<gateway::Config> gateway = compile_gateway(manifest, placement);
    if (!gateway) return std::unexpected(gateway.error());
    return Compiled{compile_supervisor(manifest, placement), std::move(*gateway),
                    compile_broker(manifest, placement)};
}

}  // namespace havn::control
