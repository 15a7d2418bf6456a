#include "control/core/compile.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/text/path.h"
#include "base/text/percent.h"
#include "manifest/manifest.h"
#include "manifest/syntax/amqp_url.h"

namespace havn::control {
namespace {

constexpr std::string_view internal_amqp = "unix:run/amqp.sock";  // how the gateway reaches our broker

const std::string& key_of(const Application& application) {
    return application.revision.source.app;
}

// Of the embedded broker.
std::string vhost_of(const std::string& app) {
    return app.empty() ? "/" : app;
}

std::string user_of(const std::string& app) {
    return app.empty() ? std::string(platform_user) : app;
}

// An address to listen on, as one to connect to on this host.
std::string reachable(const std::string& listen) {
    const std::size_t colon = listen.rfind(':');
    const std::string host = listen.substr(0, colon);
    const std::string port = colon == std::string::npos ? "" : listen.substr(colon);
    if (host.empty() || host == "*" || host == "0.0.0.0") return "127.0.0.1" + port;
    if (host == "[::]") return "[::1]" + port;
    return listen;
}

std::string amqp_url(const Application& application, const manifest::Broker& broker) {
    if (!broker.url.empty()) return broker.url;
    const std::string& app = key_of(application);
    const std::string address = broker.listen.empty() ? "127.0.0.1:5672" : reachable(broker.listen.front());
    return fmt::format("amqp://{}:{}@{}/{}", user_of(app), application.revision.placement.broker_password,
                       address, app.empty() ? "" : percent_encode(vhost_of(app)));
}

const std::string& address_of(const Application& application, const std::string& service) {
    const std::map<std::string, std::string>& addresses = application.revision.placement.service_addresses;
    const auto found = addresses.find(service);
    HAVN_ASSERT(found != addresses.end(), "every service has a loopback address");
    return found->second;
}

// What an application calls itself where it runs.
std::string name_of(const Application& application) {
    const Submission& source = application.revision.source;
    return source.app.empty() ? app_name(source.manifest, source.directory) : source.app;
}

// The programs of one application.
class ProgramCompiler {
  public:
    // Both outlive it.
    ProgramCompiler(const Application& application, const HostSettings& host)
        : application_(application), host_(host), source_(application.revision.source) {}

    void add_to(supervisor::Desired& desired) const {
        for (const manifest::Service& service : source_.manifest.services) {
            supervisor::Program program = compile(service, supervisor::Kind::service);
            if (const std::optional<manifest::HealthCheck>& check = service.healthcheck) {
                program.health =
                    supervisor::HealthCheck{check->path, check->interval, check->timeout, check->retries};
            }
            desired.programs.push_back(std::move(program));
        }
        for (const manifest::Worker& worker : source_.manifest.workers) {
            desired.programs.push_back(compile(worker, supervisor::Kind::worker));
        }
    }

  private:
    supervisor::Program compile(const manifest::Program& program, supervisor::Kind kind) const {
        return {.app = source_.app,
                .name = program.name,
                .kind = kind,
                .instances = instances_of(program),
                .command = program.command,
                .directory = path_from(source_.directory, program.directory),
                .user = program.user,
                .environment = environment_of(program),
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

    std::uint32_t instances_of(const manifest::Program& program) const {
        const auto scaled = std::ranges::find(application_.scaled, program.name, &ScaleTable::Scaled::name);
        return scaled == application_.scaled.end() ? program.instances : scaled->count;
    }

    std::map<std::string, std::string> environment_of(const manifest::Program& program) const {
        std::map<std::string, std::string> environment = program.env;
        environment.emplace("HAVN_APP", name_of(application_));
        environment.emplace("AMQP_URL", amqp_url(application_, host_.broker));
        for (const std::string& name : program.depends_on) {
            const auto service = std::ranges::find(source_.manifest.services, name, &manifest::Service::name);
            if (service == source_.manifest.services.end()) continue;  // a worker has no address
            environment.emplace(manifest::url_variable(name), "http://" + address_of(application_, name));
        }
        return environment;
    }

    const Application& application_;
    const HostSettings& host_;
    const Submission& source_;  // of the application's revision
};

std::vector<supervisor::Listener> compile_listeners(std::span<const Application> applications,
                                                    const HostSettings& host) {
    std::vector<supervisor::Listener> listeners;
    for (const std::string& address : host.gateway.listen) listeners.push_back({"edge", address, "gateway"});
    for (const Application& application : applications) {
        for (const manifest::Service& service : application.revision.source.manifest.services) {
            listeners.push_back({"service:" + supervisor::shown_name(key_of(application), service.name),
                                 address_of(application, service.name), "gateway"});
        }
    }
    for (const std::string& address : host.metrics.listen) {
        listeners.push_back({"metrics", address, "control"});
    }
    if (!host.broker.url.empty()) return listeners;
    for (const std::string& address : host.broker.listen) listeners.push_back({"amqp", address, "broker"});
    listeners.push_back({"amqp", std::string(internal_amqp), "broker"});
    return listeners;
}

supervisor::Desired compile_supervisor(std::span<const Application> applications, const HostSettings& host) {
    supervisor::Desired desired;
    const bool is_project = applications.size() == 1 && key_of(applications.front()).empty();
    if (is_project) desired.app = name_of(applications.front());
    desired.embedded_broker = host.broker.url.empty();
    desired.gateway_threads = host.gateway.threads;
    desired.listeners = compile_listeners(applications, host);
    for (const Application& application : applications) ProgramCompiler(application, host).add_to(desired);
    return desired;
}

gateway::UpstreamConfig compile_upstream(const std::string& app, const manifest::Service& service) {
    const bool least = service.balance == manifest::Balance::least_conn;
    return {.name = supervisor::shown_name(app, service.name),
            .balance = least ? gateway::Balance::least_connections : gateway::Balance::round_robin,
            .max_fails = service.max_fails,
            .fail_timeout = service.fail_timeout,
            .keepalive = service.keepalive,
            .weights = service.weights,
            .connect_timeout = service.connect_timeout,
            .idle_timeout = service.idle_timeout,
            .tunnel_timeout = service.tunnel_timeout};
}

gateway::Route compile_route(const std::string& app, const manifest::Route& route) {
    gateway::Route compiled{
        .host = route.host,
        .path = route.path,
        .methods = route.methods,
        .service = route.service.empty() ? "" : supervisor::shown_name(app, route.service),
        .queue = route.queue,
        .vhost = route.queue.empty() ? "" : app,
        .connect_timeout = route.connect_timeout,
        .timeout = route.timeout,
        .idle_timeout = route.idle_timeout,
        .tunnel_timeout = route.tunnel_timeout,
        .fallback = {},
        .body_bytes_max = route.max_body,
        .headers = route.headers};
    if (const std::optional<manifest::Fallback>& fallback = route.fallback) {
        compiled.fallback =
            gateway::Fallback{static_cast<std::uint16_t>(fallback->status), fallback->type, fallback->body};
    }
    return compiled;
}

Result<gateway::BrokerAddress> compile_broker_address(const HostSettings& host) {
    gateway::BrokerAddress broker;
    broker.confirm_timeout = host.gateway.confirm_timeout;
    broker.address = internal_amqp;
    broker.user = platform_user;
    broker.password = host.broker_password;
    if (host.broker.url.empty()) return broker;
    const Result<manifest::AmqpUrl> url = manifest::parse_amqp_url(host.broker.url);
    if (!url) return std::unexpected(url.error());
    broker.address = url->host + ":" + std::to_string(url->port);
    broker.user = url->user;
    broker.password = url->password;
    broker.vhost = url->vhost;
    return broker;
}

// A route belongs to one application: who came first keeps it.
Result<> check_routes(std::span<const Application> applications) {
    std::map<std::string_view, std::string_view> owners;
    for (const Application& application : applications) {
        for (const manifest::Route& route : application.revision.source.manifest.routes) {
            const auto [at, is_new] = owners.emplace(route.key, key_of(application));
            if (is_new) continue;
            return fail(Error::Kind::conflict,
                        fmt::format("the route {} of application '{}' is one of '{}' already", route.key,
                                    key_of(application), at->second),
                        "give the route a host or a path of its own");
        }
    }
    return {};
}

Result<gateway::Config> compile_gateway(std::span<const Application> applications, const HostSettings& host) {
    if (Result<> apart = check_routes(applications); !apart) return std::unexpected(apart.error());
    gateway::Config config;
    for (const Application& application : applications) {
        const manifest::Manifest& manifest = application.revision.source.manifest;
        for (const manifest::Service& service : manifest.services) {
            config.upstreams.push_back(compile_upstream(key_of(application), service));
        }
        for (const manifest::Route& route : manifest.routes) {
            config.routes.push_back(compile_route(key_of(application), route));
        }
    }
    const manifest::Limits& limits = host.gateway.limits;
    config.limits = {.head_bytes_max = static_cast<std::uint32_t>(limits.max_head),
                     .header_count_max = limits.max_headers,
                     .head_timeout = limits.head_timeout,
                     .idle_timeout = limits.idle_timeout,
                     .connections_max = limits.max_connections,
                     .connections_per_address = limits.max_connections_per_address};
    config.threads = host.gateway.threads;
    config.memory_bytes = host.gateway.memory;
    config.trusted_proxies = host.gateway.trusted_proxies;
    Result<gateway::BrokerAddress> broker = compile_broker_address(host);
    if (!broker) return std::unexpected(broker.error());
    config.broker = std::move(*broker);
    return config;
}

broker::QueuePolicy compile_queue(const manifest::Queue& queue) {
    return {.name = queue.name,
            .message_ttl = queue.ttl,
            .max_attempts = queue.max_attempts,
            .backoff_min = queue.backoff.min,
            .backoff_max = queue.backoff.max};
}

// Who may open the virtual host of a project platform beside the platform itself: guest on loopback, and the
// users of the manifest.
void add_project_users(const HostSettings& host, broker::Config& config) {
    const std::map<std::string, std::string>& users = host.broker.users;
    if (!users.contains("guest")) config.users.push_back({"guest", "guest", true});
    for (const auto& [name, password] : users) {
        if (name != platform_user) config.users.push_back({name, password, false});
    }
}

// Each application has a virtual host, and the user of one opens no other. The gateway publishes into all.
broker::Config compile_broker(std::span<const Application> applications, const HostSettings& host) {
    broker::Config config;
    config.memory_bytes = host.broker.memory;
    config.connections_max = host.broker.max_connections;
    config.users = {{std::string(platform_user), host.broker_password, false, {}}};
    config.vhosts.clear();
    for (const Application& application : applications) {
        const std::string& app = key_of(application);
        broker::VhostConfig& vhost = config.vhosts.emplace_back();
        vhost.name = vhost_of(app);
        for (const manifest::Queue& queue : application.revision.source.manifest.queues) {
            vhost.queues.push_back(compile_queue(queue));
        }
        config.users.front().vhosts.push_back(vhost.name);
        if (app.empty()) {
            add_project_users(host, config);
        } else {
            const std::string& password = application.revision.placement.broker_password;
            config.users.push_back({user_of(app), password, false, {vhost.name}});
        }
    }
    return config;
}

}  // namespace

std::string app_name(const manifest::Manifest& manifest, std::string_view directory) {
    if (!manifest.app.empty()) return manifest.app;
    const std::string folder = last_name(directory);
    return folder.empty() ? "app" : folder;
}

HostSettings settings_of(const Revision& revision) {
    const manifest::Manifest& manifest = revision.source.manifest;
    return {manifest.gateway, manifest.broker, manifest.metrics, revision.placement.broker_password};
}

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

Result<Compiled> compile(std::uint64_t number, std::span<const Application> applications,
                         const HostSettings& host) {
    Result<gateway::Config> gateway = compile_gateway(applications, host);
    if (!gateway) return std::unexpected(gateway.error());
    Compiled compiled{compile_supervisor(applications, host), std::move(*gateway),
                      compile_broker(applications, host)};
    compiled.supervisor.revision = number;
    compiled.gateway.revision = number;
    compiled.broker.revision = number;
    return compiled;
}

bool same(const Compiled& one, const Compiled& other) {
    Compiled renumbered = other;
    renumbered.supervisor.revision = one.supervisor.revision;
    renumbered.gateway.revision = one.gateway.revision;
    renumbered.broker.revision = one.broker.revision;
    return supervisor::to_json(one.supervisor) == supervisor::to_json(renumbered.supervisor) &&
           gateway::to_json(one.gateway) == gateway::to_json(renumbered.gateway) &&
           broker::to_json(one.broker) == broker::to_json(renumbered.broker);
}

}  // namespace havn::control
