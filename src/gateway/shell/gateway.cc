#include "gateway/shell/gateway.h"

#include <fcntl.h>

#include <map>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/text/prometheus.h"
#include "contract/link.h"
#include "gateway/core/endpoint_versions.h"
#include "gateway/shell/log_writer.h"
#include "gateway/shell/worker_threads.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/host.h"
#include "io/link.h"
#include "io/loop.h"
#include "rpc/server.h"

namespace havn::gateway {
namespace {

constexpr const char* config_path = "applied/parts/gateway.json";
constexpr const char* socket_path = "run/gateway.sock";
constexpr const char* log_folder = "logs/gateway";  // ours alone
constexpr const char* log_path = "logs/gateway/access.log";
constexpr seconds finish_max{10};  // for requests under way at a stop
constexpr std::uint64_t memory_part = 8, memory_min = 64u << 20;

// The supervisor makes the folder; for a gateway that runs alone it is made here, before the log is opened.
std::string prepared_log() {
    if (Result<> made = io::make_folder(log_folder); !made) log::error("{}", made.error().text());
    return log_path;
}

// What the main thread knows: the link, the control socket, and the threads it passes everything on to.
class Gateway final : private WorkerThreads::Observer {
  public:
    explicit Gateway(io::Fd link)
        : link_(loop_.executor(), std::move(link)), server_(loop_.executor()), log_(prepared_log(), {}) {}

    Result<> run();

  private:
    io::Task<void> serve_link();
    io::Task<void> serve_signals();
    io::Task<void> stop();
    Result<> take_message(io::Link::Message message);
    Result<> take_listeners(const link::Listeners& listeners, std::vector<io::Fd>& descriptors);
    void take_endpoints(const link::Endpoints& message);
    void arrange();
    void apply_config(Config config);
    void apply_limits();
    void load_config();
    void on_applied(std::size_t thread, std::uint64_t version) override;
    void on_drained(std::size_t thread, const std::string& address, std::uint64_t removed_by) override;
    void on_thread_ended(std::size_t thread) override;
    void report(const EndpointVersions::News& news);
    void note_ready();

    io::Task<rpc::Response> put_config(rpc::Request request);
    io::Task<rpc::Response> get_status(rpc::Request request);
    io::Task<rpc::Response> get_metrics(rpc::Request request);

    io::Loop loop_;
    io::Link link_;
    rpc::Server server_;
    LogWriter log_;
    Shared shared_;
    std::uint64_t descriptors_ = io::raise_descriptor_limit();
    WorkerThreads workers_{shared_, log_, *this,
                           [this](std::function<void()> job) { loop_.post(std::move(job)); }};
    EndpointVersions versions_;
    std::shared_ptr<const Config> config_ = std::make_shared<const Config>();
    std::optional<Error> failure_;
    bool config_known_ = false, listeners_known_ = false, endpoints_known_ = false, ready_ = false;
    bool stopping_ = false;
};

Clusters::Table table_of(const link::Endpoints& message) {
    Clusters::Table table;
    for (const auto& [service, endpoints] : message.services) {
        std::vector<Clusters::Entry>& entries = table[service];
        for (const link::Endpoint& endpoint : endpoints) {
            entries.push_back({endpoint.address, endpoint.instance});
        }
    }
    return table;
}

// Addresses by service.
Json to_json(const Clusters::Table& table) {
    Json json = Json::object();
    for (const auto& [service, entries] : table) {
        Json& list = json[service] = Json::array();
        for (const Clusters::Entry& entry : entries) list.push_back(entry.address);
    }
    return json;
}

Result<> Gateway::run() {
    shared_.shed_elsewhere = [this](const Acceptor& asking, Duration idle) {
        loop_.post([this, asking = &asking, idle] { workers_.shed_beside(asking, idle); });
    };
    apply_limits();
    load_config();
    server_.route("PUT", "/config", [this](rpc::Request request) { return put_config(std::move(request)); });
    server_.route("GET", "/status", [this](rpc::Request request) { return get_status(std::move(request)); });
    server_.route("GET", "/metrics",
                  [this](rpc::Request request) { return get_metrics(std::move(request)); });
    if (Result<> listening = server_.listen_as_part(socket_path); !listening) return listening;
    loop_.spawn(serve_link());
    loop_.spawn(serve_signals());
    loop_.run();
    workers_.join();
    if (failure_) return std::unexpected(*failure_);
    return {};
}

void Gateway::load_config() {
    const Result<std::string> text = io::read_file(config_path);
    if (!text && text.error().kind == Error::Kind::not_found) {
        return log::info("there is no configuration yet; control sends it");
    }
    if (!text) return log::warning("{}; waiting for PUT /config", text.error().text());
    const Result<Json> json = parse_json(*text);
    const Result<Config> config = json ? config_from_json(*json) : std::unexpected(json.error());
    if (!config) return log::error("{}: {}; waiting for PUT /config", config_path, config.error().text());
    apply_config(*config);
}

void Gateway::apply_config(Config config) {
    config_ = std::make_shared<const Config>(std::move(config));
    config_known_ = true;
    apply_limits();
    workers_.set_config(config_);
    arrange();
}

void Gateway::apply_limits() {
    const std::uint64_t share = std::max(io::host_memory_bytes() / memory_part, memory_min);
    shared_.memory.set_limit(config_->memory_bytes > 0 ? config_->memory_bytes : share);
    shared_.admission.set_limits({.connections = config_->limits.connections_max,
                                  .per_address = config_->limits.connections_per_address,
                                  .descriptors = descriptors_});
}

io::Task<void> Gateway::serve_link() {
    for (;;) {
        Result<io::Link::Message> message = co_await link_.receive();
        if (!message) {
            // A supervisor that restarts hands this process over to its successor; one that is gone for good
            // does not.
            if (!stopping_) failure_ = message.error();
            co_await stop();
            co_return;
        }
        const Result<> taken = take_message(std::move(*message));
        if (!taken) log::error("link: {}", taken.error().text());
    }
}

Result<> Gateway::take_message(io::Link::Message received) {
    const Result<link::ToPart> message = link::to_part_from_json(std::move(received.body));
    if (!message) return std::unexpected(message.error());
    if (const auto* listeners = std::get_if<link::Listeners>(&*message)) {
        return take_listeners(*listeners, received.descriptors);
    }
    if (const auto* endpoints = std::get_if<link::Endpoints>(&*message)) {
        take_endpoints(*endpoints);
        return {};
    }
    return fail(Error::Kind::invalid, "a message that is not for the gateway");
}

Result<> Gateway::take_listeners(const link::Listeners& listeners, std::vector<io::Fd>& descriptors) {
    if (listeners.entries.size() != descriptors.size()) {
        return fail(Error::Kind::invalid, "listeners: one descriptor per entry expected");
    }
    WorkerThreads::Sockets sockets;
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
        const link::Listener& entry = listeners.entries[i];
        if (::fcntl(descriptors[i].get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("listening socket");
        sockets[{entry.name, entry.address}].push_back(std::move(descriptors[i]));
    }
    workers_.set_sockets(std::move(sockets));
    listeners_known_ = true;
    arrange();
    return {};
}

// Threads and their sockets as the configuration and the supervisor want them; both may change at any time.
void Gateway::arrange() {
    if (stopping_ || !config_known_ || !listeners_known_) return;
    workers_.arrange();
    note_ready();
}

void Gateway::on_thread_ended(std::size_t thread) {
    report(versions_.thread_ended(thread));
}

void Gateway::take_endpoints(const link::Endpoints& message) {
    endpoints_known_ = true;
    const Clusters::Table table = table_of(message);
    const EndpointVersions::News news = versions_.replace(table, message.version, workers_.ids());
    workers_.set_endpoints(table, message.version);
    report(news);
}

void Gateway::on_applied(std::size_t thread, std::uint64_t version) {
    report(versions_.applied(thread, version));
}

void Gateway::on_drained(std::size_t thread, const std::string& address, std::uint64_t removed_by) {
    report(versions_.drained(thread, address, removed_by));
}

void Gateway::report(const EndpointVersions::News& news) {
    for (const std::uint64_t version : news.applied) {
        link_.send(to_json(link::Applied{version}));
        note_ready();
    }
    for (const std::string& address : news.drained) link_.send(to_json(link::Drained{address}));
}

void Gateway::note_ready() {
    if (ready_ || !config_known_ || !listeners_known_ || !endpoints_known_) return;
    ready_ = true;
    link_.send(to_json(link::Ready{}));
}

io::Task<void> Gateway::serve_signals() {
    boost::asio::signal_set signals(loop_.context(), SIGTERM, SIGINT);
    auto [error, number] = co_await signals.async_wait(io::result);
    if (!error) co_await stop();
}

io::Task<void> Gateway::stop() {
    if (stopping_) co_return;
    stopping_ = true;
    workers_.stop();
    const Time deadline = io::now() + finish_max;
    const auto open = [this] {
        std::uint64_t count = 0;
        for (const Metrics* metrics : workers_.metrics()) count += metrics->connections_open.value();
        return count;
    };
    while (open() > 0 && io::now() < deadline) co_await io::sleep_for(milliseconds(10));
    loop_.stop();
}

io::Task<rpc::Response> Gateway::put_config(rpc::Request request) {
    const Result<Json> json = request.json();
    if (!json) co_return rpc::error(json.error());
    Result<Config> config = config_from_json(*json);
    if (!config) co_return rpc::error(config.error());
    apply_config(std::move(*config));
    co_return rpc::json({{"revision", config_->revision}});
}

io::Task<rpc::Response> Gateway::get_status(rpc::Request) {
    std::uint64_t connections = 0, requests = 0;
    for (const Metrics* metrics : workers_.metrics()) {
        connections += metrics->connections_open.value();
        requests += metrics->requests_in_flight.value();
    }
    Json short_of = Json::array();
    for (const Shortage& one : shortages(shared_.alarms, shared_.admission, shared_.memory, io::now())) {
        short_of.push_back({{"cause", one.cause}, {"message", one.message}, {"unwell", one.unwell}});
    }
    co_return rpc::json({{"ready", ready_},
                         {"revision", config_->revision},
                         {"threads", workers_.count()},
                         {"connections", connections},
                         {"connections_max", shared_.admission.connections_max()},
                         {"memory_bytes", shared_.memory.used()},
                         {"memory_bytes_max", shared_.memory.limit()},
                         {"requests_in_flight", requests},
                         {"short_of", std::move(short_of)},
                         {"endpoints_version", versions_.version()},
                         {"services", to_json(versions_.table())}});
}

io::Task<rpc::Response> Gateway::get_metrics(rpc::Request) {
    const Metrics::Process process{.memory_used = shared_.memory.used(),
                                   .memory_limit = shared_.memory.limit(),
                                   .connections_max = shared_.admission.connections_max(),
                                   .descriptors_max = descriptors_};
    co_return rpc::text(Metrics::prometheus(workers_.metrics(), process),
                        std::string(prometheus::content_type));
}

}  // namespace

Result<> run(io::Fd link) {
    Gateway gateway(std::move(link));
    return gateway.run();
}

}  // namespace havn::gateway
