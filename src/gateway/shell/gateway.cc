#include "gateway/shell/gateway.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <map>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/prometheus.h"
#include "gateway/shell/worker.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/link.h"
#include "io/loop.h"
#include "rpc/server.h"

namespace havn::gateway {
namespace {

constexpr const char* config_path = "applied/current/gateway.json";
constexpr const char* socket_path = "run/gateway.sock";
constexpr const char* log_folder = "logs/gateway";  // ours alone
constexpr const char* log_path = "logs/gateway/access.log";
constexpr seconds finish_max{10};  // for requests under way at a stop

// What the main thread knows: the link, the control socket, and the workers it passes everything on to.
class Gateway {
  public:
    explicit Gateway(io::Fd link)
        : link_(loop_.executor(), std::move(link)), server_(loop_.executor()), log_(log_path, {}) {}
    ~Gateway() { join(); }

    Result<> run();

  private:
    struct Thread {
        std::unique_ptr<Worker> worker;
        std::thread thread;
    };
    struct Draining {
        std::uint64_t version;          // the version that dropped the endpoint
        std::set<std::size_t> threads;  // that have not said it is unused yet
    };

    io::Task<void> serve_link();
    io::Task<void> serve_signals();
    io::Task<void> stop();
    Result<> take_message(io::Link::Message message);
    Result<> take_listeners(io::Link::Message& message);
    Result<> take_endpoints(const Json& body);
    void start_threads(std::size_t count);
    void apply_config(Config config);
    void load_config();
    void on_applied(std::uint64_t version);
    void on_drained(std::size_t thread, const std::string& endpoint, std::uint64_t version);
    void note_ready();
    void join();

    io::Task<rpc::Response> put_config(rpc::Request request);
    io::Task<rpc::Response> get_status(rpc::Request request);
    io::Task<rpc::Response> get_metrics(rpc::Request request);

    io::Loop loop_;
    io::Link link_;
    rpc::Server server_;
    LogWriter log_;
    std::vector<Thread> threads_;
    std::shared_ptr<const Config> config_ = std::make_shared<const Config>();
    Services::Table endpoints_;
    std::uint64_t version_ = 0;
    std::map<std::uint64_t, std::size_t> applying_;  // version -> threads that have not applied it yet
    std::map<std::string, Draining> draining_;
    std::optional<Error> failure_;
    bool config_known_ = false, listeners_known_ = false, endpoints_known_ = false, ready_ = false;
    bool stopping_ = false;
};

std::set<std::string> addresses(const Services::Table& table) {
    std::set<std::string> all;
    for (const auto& [service, entries] : table) {
        for (const Services::Entry& entry : entries) all.insert(entry.address);
    }
    return all;
}

// Throws Json::exception for what is not such a table.
Services::Table table_from_json(const Json& json) {
    Services::Table table;
    for (const auto& [service, list] : json.items()) {
        std::vector<Services::Entry>& entries = table[service];
        for (const Json& entry : list) {
            const auto instance = std::max(entry.at("instance").get<std::uint32_t>(), 1u);
            entries.push_back({entry.at("address").get<std::string>(), instance});
        }
    }
    return table;
}

// Addresses by service.
Json to_json(const Services::Table& table) {
    Json json = Json::object();
    for (const auto& [service, entries] : table) {
        Json& list = json[service] = Json::array();
        for (const Services::Entry& entry : entries) list.push_back(entry.address);
    }
    return json;
}

Result<> Gateway::run() {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    if (Result<> made = io::make_folder(log_folder); !made) log::error("{}", made.error().text());
    load_config();
    server_.route("PUT", "/config", [this](rpc::Request request) { return put_config(std::move(request)); });
    server_.route("GET", "/status", [this](rpc::Request request) { return get_status(std::move(request)); });
    server_.route("GET", "/metrics",
                  [this](rpc::Request request) { return get_metrics(std::move(request)); });
    if (Result<> listening = server_.listen_as_part(socket_path); !listening) return listening;
    loop_.spawn(serve_link());
    loop_.spawn(serve_signals());
    loop_.run();
    join();
    if (failure_) return std::unexpected(*failure_);
    return {};
}

void Gateway::join() {
    for (Thread& thread : threads_) {
        if (!thread.thread.joinable()) continue;
        thread.worker->post([worker = thread.worker.get()] { worker->stop_now(); });
        thread.thread.join();
    }
}

void Gateway::load_config() {
    const Result<std::string> text = io::read_file(config_path);
    if (!text && text.error().kind == Error::Kind::not_found)
        return log::info("there is no configuration yet; control sends it");
    if (!text) return log::warning("{}; waiting for PUT /config", text.error().text());
    const Result<Json> json = parse_json(*text);
    const Result<Config> config = json ? config_from_json(*json) : std::unexpected(json.error());
    if (!config) return log::error("{}: {}; waiting for PUT /config", config_path, config.error().text());
    apply_config(*config);
}

void Gateway::apply_config(Config config) {
    config_ = std::make_shared<const Config>(std::move(config));
    config_known_ = true;
    for (Thread& thread : threads_) {
        thread.worker->post([worker = thread.worker.get(), config = config_] { worker->set_config(config); });
    }
    note_ready();
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

Result<> Gateway::take_message(io::Link::Message message) {
    const std::string type = message.body.value("type", "");
    if (type == "listeners") return take_listeners(message);
    if (type == "endpoints") return take_endpoints(message.body);
    return fail(Error::Kind::invalid, "unknown message '" + type + "'");
}

Result<> Gateway::take_listeners(io::Link::Message& message) {
    const Json& list = message.body.value("listeners", Json::array());
    if (!list.is_array() || list.size() != message.descriptors.size()) {
        return fail(Error::Kind::invalid, "listeners: one descriptor per entry expected");
    }
    std::map<std::pair<std::string, std::string>, std::vector<io::Fd>> by_address;
    std::size_t most = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string name = list[i].value("name", ""), address = list[i].value("address", "");
        std::vector<io::Fd>& sockets = by_address[{name, address}];
        sockets.push_back(std::move(message.descriptors[i]));
        most = std::max(most, sockets.size());
    }
    if (threads_.empty()) start_threads(most > 1 ? most : std::thread::hardware_concurrency());
    std::vector<std::vector<Listener::Source>> per_thread(threads_.size());
    for (auto& [key, sockets] : by_address) {
        const std::size_t own = std::max(sockets.size(), threads_.size());
        for (std::size_t i = 0; i < own; ++i) {  // fewer sockets than threads: threads share
            io::Fd copy(::fcntl(sockets[i % sockets.size()].get(), F_DUPFD_CLOEXEC, 0));
            if (!copy || ::fcntl(copy.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("listening socket");
            per_thread[i % threads_.size()].push_back({key.first, std::move(copy)});
        }
    }
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        auto sources = std::make_shared<std::vector<Listener::Source>>(std::move(per_thread[i]));
        threads_[i].worker->post(
            [worker = threads_[i].worker.get(), sources] { worker->set_listeners(std::move(*sources)); });
    }
    listeners_known_ = true;
    note_ready();
    return {};
}

void Gateway::start_threads(std::size_t count) {
    for (std::size_t i = 0; i < std::max<std::size_t>(count, 1); ++i) {
        Thread thread;
        thread.worker =
            std::make_unique<Worker>(log_, [this, i](const std::string& endpoint, std::uint64_t version) {
                loop_.post([this, i, endpoint, version] { on_drained(i, endpoint, version); });
            });
        Worker* const worker = thread.worker.get();
        worker->post([worker, config = config_, endpoints = endpoints_, version = version_] {
            worker->set_config(config);
            worker->set_endpoints(endpoints, version);
        });
        thread.thread = std::thread([worker] { worker->run(); });
        threads_.push_back(std::move(thread));
    }
}

Result<> Gateway::take_endpoints(const Json& body) {
    Services::Table table;
    try {
        table = table_from_json(body.at("services"));
        version_ = body.at("version").get<std::uint64_t>();
    } catch (const Json::exception& error) {
        return fail(Error::Kind::invalid, std::string("endpoints: ") + error.what());
    }
    const std::set<std::string> now = addresses(table);
    for (const std::string& endpoint : addresses(endpoints_)) {
        if (now.contains(endpoint)) continue;
        Draining& draining = draining_[endpoint];
        draining.version = version_;
        for (std::size_t i = 0; i < threads_.size(); ++i) draining.threads.insert(i);
    }
    for (const std::string& endpoint : now) draining_.erase(endpoint);
    endpoints_ = table;
    endpoints_known_ = true;
    applying_[version_] = threads_.size();
    for (Thread& thread : threads_) {
        thread.worker->post([this, worker = thread.worker.get(), table, version = version_] {
            worker->set_endpoints(table, version);
            loop_.post([this, version] { on_applied(version); });
        });
    }
    if (threads_.empty()) {
        applying_[version_] = 1;
        on_applied(version_);
    }
    return {};
}

void Gateway::on_applied(std::uint64_t version) {
    const auto entry = applying_.find(version);
    if (entry == applying_.end() || --entry->second > 0) return;
    applying_.erase(entry);
    link_.send({{"type", "applied"}, {"version", version}});
    note_ready();
}

// Word of an earlier removal may arrive when the endpoint was back and left again.
void Gateway::on_drained(std::size_t thread, const std::string& endpoint, std::uint64_t version) {
    const auto entry = draining_.find(endpoint);
    if (entry == draining_.end() || entry->second.version != version) return;
    entry->second.threads.erase(thread);
    if (!entry->second.threads.empty()) return;
    draining_.erase(entry);
    link_.send({{"type", "drained"}, {"endpoint", endpoint}});
}

void Gateway::note_ready() {
    if (ready_ || !config_known_ || !listeners_known_ || !endpoints_known_) return;
    ready_ = true;
    link_.send({{"type", "ready"}});
}

io::Task<void> Gateway::serve_signals() {
    boost::asio::signal_set signals(loop_.context(), SIGTERM, SIGINT);
    auto [error, number] = co_await signals.async_wait(io::result);
    if (!error) co_await stop();
}

io::Task<void> Gateway::stop() {
    if (stopping_) co_return;
    stopping_ = true;
    for (Thread& thread : threads_) {
        thread.worker->post([worker = thread.worker.get()] { worker->stop(); });
    }
    const Time deadline = io::now() + finish_max;
    const auto open = [this] {
        std::uint64_t count = 0;
        for (const Thread& thread : threads_) count += thread.worker->metrics().connections_open.value();
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
    for (const Thread& thread : threads_) {
        connections += thread.worker->metrics().connections_open.value();
        requests += thread.worker->metrics().requests_in_flight.value();
    }
    co_return rpc::json({{"ready", ready_},
                         {"revision", config_->revision},
                         {"threads", threads_.size()},
                         {"connections", connections},
                         {"requests_in_flight", requests},
                         {"endpoints_version", version_},
                         {"services", to_json(endpoints_)}});
}

io::Task<rpc::Response> Gateway::get_metrics(rpc::Request) {
    std::vector<const Metrics*> metrics;
    for (const Thread& thread : threads_) metrics.push_back(&thread.worker->metrics());
    co_return rpc::text(Metrics::prometheus(metrics), std::string(prometheus::content_type));
}

}  // namespace

Result<> run(io::Fd link) {
    Gateway gateway(std::move(link));
    return gateway.run();
}

}  // namespace havn::gateway
