#include "gateway/shell/gateway.h"

#include <fcntl.h>

#include <map>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/text/prometheus.h"
#include "contract/link.h"
#include "gateway/shell/log_writer.h"
#include "gateway/shell/worker.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/host.h"
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
constexpr std::uint64_t memory_part = 8, memory_min = 64u << 20;
constexpr std::size_t shed_beside_max = 16;  // clients, of each thread

// The supervisor makes the folder; for a gateway that runs alone it is made here, before the log is opened.
std::string prepared_log() {
    if (Result<> made = io::make_folder(log_folder); !made) log::error("{}", made.error().text());
    return log_path;
}

// What the main thread knows: the link, the control socket, and the workers it passes everything on to.
class Gateway {
  public:
    explicit Gateway(io::Fd link)
        : link_(loop_.executor(), std::move(link)), server_(loop_.executor()), log_(prepared_log(), {}) {}
    ~Gateway() { join(); }

    Result<> run();

  private:
    struct Thread {
        std::size_t id = 0;
        std::unique_ptr<Metrics> metrics;
        std::unique_ptr<Worker> worker;
        std::thread thread;
    };
    struct Draining {
        std::uint64_t version = 0;      // the version that dropped the endpoint
        std::set<std::size_t> threads;  // that have not said it is unused yet
    };

    io::Task<void> serve_link();
    io::Task<void> serve_signals();
    io::Task<void> stop();
    Result<> take_message(io::Link::Message message);
    Result<> take_listeners(const link::Listeners& listeners, std::vector<io::Fd>& descriptors);
    void take_endpoints(const link::Endpoints& message);
    void arrange(bool sockets_changed);
    std::size_t threads_wanted() const;
    void start_thread();
    void end_thread();
    Result<> share_out_sockets();
    void post_to_all(const std::function<void(Worker&)>& job);
    void on_thread_ended(std::size_t id);
    void shed_beside(const Acceptor* asking, Duration idle);
    void apply_config(Config config);
    void apply_limits();
    void load_config();
    void on_applied(std::size_t thread, std::uint64_t version);
    void note_applied();
    void on_drained(std::size_t thread, const std::string& endpoint, std::uint64_t version);
    void send_drained();
    void note_ready();
    std::vector<const Metrics*> all_metrics() const;
    void join();

    io::Task<rpc::Response> put_config(rpc::Request request);
    io::Task<rpc::Response> get_status(rpc::Request request);
    io::Task<rpc::Response> get_metrics(rpc::Request request);

    io::Loop loop_;
    io::Link link_;
    rpc::Server server_;
    LogWriter log_;
    Shared shared_;
    std::uint64_t descriptors_ = io::raise_descriptor_limit();
    std::vector<Thread> threads_;
    std::vector<Thread> leaving_;  // they finish what is under way
    std::vector<std::unique_ptr<Metrics>>
        ended_metrics_;  // of those that did; the next one counts on in them
    std::size_t threads_begun_ = 0;
    std::map<std::pair<std::string, std::string>, std::vector<io::Fd>> sockets_;  // by name and address
    std::shared_ptr<const Config> config_ = std::make_shared<const Config>();
    Clusters::Table endpoints_;
    std::uint64_t version_ = 0;
    std::map<std::uint64_t, std::set<std::size_t>>
        applying_;  // version -> threads that have not applied it yet
    std::map<std::string, Draining> draining_;
    std::optional<Error> failure_;
    bool config_known_ = false, listeners_known_ = false, endpoints_known_ = false, ready_ = false;
    bool stopping_ = false;
};

std::set<std::string> addresses(const Clusters::Table& table) {
    std::set<std::string> all;
    for (const auto& [service, entries] : table) {
        for (const Clusters::Entry& entry : entries) all.insert(entry.address);
    }
    return all;
}

Clusters::Table table_of(const link::Endpoints& message) {
    Clusters::Table table;
    for (const auto& [service, endpoints] : message.services) {
        std::vector<Clusters::Entry>& entries = table[service];
        for (const link::Endpoint& endpoint : endpoints)
            entries.push_back({endpoint.address, endpoint.instance});
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
        loop_.post([this, asking = &asking, idle] { shed_beside(asking, idle); });
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
    join();
    if (failure_) return std::unexpected(*failure_);
    return {};
}

void Gateway::join() {
    post_to_all([](Worker& worker) { worker.stop_now(); });
    for (std::vector<Thread>* list : {&threads_, &leaving_}) {
        for (Thread& thread : *list) {
            if (thread.thread.joinable()) thread.thread.join();
        }
    }
}

// To each thread, on it.
void Gateway::post_to_all(const std::function<void(Worker&)>& job) {
    for (const std::vector<Thread>* list : {&threads_, &leaving_}) {
        for (const Thread& thread : *list) {
            thread.worker->post([worker = thread.worker.get(), job] { job(*worker); });
        }
    }
}

void Gateway::shed_beside(const Acceptor* asking, Duration idle) {
    post_to_all([asking, idle](Worker& worker) {
        if (&worker.acceptor() != asking) worker.acceptor().shed_idle(shed_beside_max, idle);
    });
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
    apply_limits();
    post_to_all([config = config_](Worker& worker) { worker.set_config(config); });
    arrange(false);
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
    if (const auto* listeners = std::get_if<link::Listeners>(&*message))
        return take_listeners(*listeners, received.descriptors);
    if (const auto* endpoints = std::get_if<link::Endpoints>(&*message)) {
        take_endpoints(*endpoints);
        return {};
    }
    return fail(Error::Kind::invalid, "a message that is not for the gateway");
}

Result<> Gateway::take_listeners(const link::Listeners& listeners, std::vector<io::Fd>& descriptors) {
    if (listeners.entries.size() != descriptors.size())
        return fail(Error::Kind::invalid, "listeners: one descriptor per entry expected");
    std::map<std::pair<std::string, std::string>, std::vector<io::Fd>> sockets;
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
        const link::Listener& entry = listeners.entries[i];
        if (::fcntl(descriptors[i].get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("listening socket");
        sockets[{entry.name, entry.address}].push_back(std::move(descriptors[i]));
    }
    sockets_ = std::move(sockets);
    listeners_known_ = true;
    arrange(true);
    return {};
}

// Threads and their sockets as the configuration and the supervisor want them; both may change at any time.
void Gateway::arrange(bool sockets_changed) {
    if (stopping_ || !config_known_ || !listeners_known_) return;
    const std::size_t wanted = threads_wanted(), before = threads_.size();
    while (threads_.size() < wanted) start_thread();
    while (threads_.size() > wanted) end_thread();
    if (before > 0 && before != wanted) log::info("{} threads instead of {}", wanted, before);
    if (sockets_changed || before != wanted) {
        if (Result<> shared = share_out_sockets(); !shared) log::error("{}", shared.error().text());
    }
    note_ready();
}

std::size_t Gateway::threads_wanted() const {
    if (config_->threads > 0) return config_->threads;
    std::size_t most = 0;
    for (const auto& [key, sockets] : sockets_) most = std::max(most, sockets.size());
    return most > 1 ? most : std::max(std::thread::hardware_concurrency(), 1u);
}

Result<> Gateway::share_out_sockets() {
    std::vector<std::vector<Listener::Source>> per_thread(threads_.size());
    for (const auto& [key, sockets] : sockets_) {
        const std::size_t own = std::max(sockets.size(), threads_.size());
        for (std::size_t i = 0; i < own; ++i) {  // fewer sockets than threads: threads share
            io::Fd copy(::fcntl(sockets[i % sockets.size()].get(), F_DUPFD_CLOEXEC, 0));
            if (!copy) return fail_errno("listening socket");
            per_thread[i % threads_.size()].push_back({key.first, std::move(copy)});
        }
    }
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        auto sources = std::make_shared<std::vector<Listener::Source>>(std::move(per_thread[i]));
        threads_[i].worker->post(
            [worker = threads_[i].worker.get(), sources] { worker->set_listeners(std::move(*sources)); });
    }
    return {};
}

void Gateway::start_thread() {
    Thread thread;
    const std::size_t id = thread.id = ++threads_begun_;
    if (ended_metrics_.empty()) {
        thread.metrics = std::make_unique<Metrics>();
    } else {
        thread.metrics = std::move(ended_metrics_.back());
        ended_metrics_.pop_back();
    }
    const auto drained = [this, id](const std::string& endpoint, std::uint64_t version) {
        loop_.post([this, id, endpoint, version] { on_drained(id, endpoint, version); });
    };
    thread.worker = std::make_unique<Worker>(shared_, *thread.metrics, log_, drained);
    Worker* const worker = thread.worker.get();
    worker->post([worker, config = config_, endpoints = endpoints_, version = version_] {
        worker->set_config(config);
        worker->set_endpoints(endpoints, version);
    });
    thread.thread = std::thread([this, worker, id] {
        worker->run();
        loop_.post([this, id] { on_thread_ended(id); });
    });
    threads_.push_back(std::move(thread));
}

// It takes no new connection, and ends when those it has are done.
void Gateway::end_thread() {
    Thread thread = std::move(threads_.back());
    threads_.pop_back();
    thread.worker->post([worker = thread.worker.get()] { worker->stop(); });
    leaving_.push_back(std::move(thread));
}

void Gateway::on_thread_ended(std::size_t id) {
    const auto thread = std::ranges::find(leaving_, id, &Thread::id);
    if (thread == leaving_.end()) return;
    thread->thread.join();
    ended_metrics_.push_back(std::move(thread->metrics));
    leaving_.erase(thread);
    for (auto& [version, threads] : applying_) threads.erase(id);
    for (auto& [endpoint, draining] : draining_) draining.threads.erase(id);
    note_applied();
    send_drained();
}

void Gateway::take_endpoints(const link::Endpoints& message) {
    const Clusters::Table table = table_of(message);
    version_ = message.version;
    std::set<std::size_t> ids;
    for (const Thread& thread : threads_) ids.insert(thread.id);
    for (const Thread& thread : leaving_) ids.insert(thread.id);
    const std::set<std::string> now = addresses(table);
    for (const std::string& endpoint : addresses(endpoints_)) {
        if (now.contains(endpoint)) continue;
        Draining& draining = draining_[endpoint];
        draining.version = version_;
        for (const std::size_t id : ids) draining.threads.insert(id);
    }
    for (const std::string& endpoint : now) draining_.erase(endpoint);
    endpoints_ = table;
    endpoints_known_ = true;
    applying_[version_] = ids;
    for (const std::vector<Thread>* list : {&threads_, &leaving_}) {
        for (const Thread& thread : *list) {
            thread.worker->post(
                [this, id = thread.id, worker = thread.worker.get(), table, version = version_] {
                    worker->set_endpoints(table, version);
                    loop_.post([this, id, version] { on_applied(id, version); });
                });
        }
    }
    note_applied();
    send_drained();
}

void Gateway::on_applied(std::size_t thread, std::uint64_t version) {
    const auto entry = applying_.find(version);
    if (entry != applying_.end()) entry->second.erase(thread);
    note_applied();
}

void Gateway::note_applied() {
    for (auto entry = applying_.begin(); entry != applying_.end();) {
        if (!entry->second.empty()) {
            ++entry;
            continue;
        }
        link_.send(to_json(link::Applied{entry->first}));
        entry = applying_.erase(entry);
        note_ready();
    }
}

// Word of an earlier removal may arrive when the endpoint was back and left again.
void Gateway::on_drained(std::size_t thread, const std::string& endpoint, std::uint64_t version) {
    const auto entry = draining_.find(endpoint);
    if (entry == draining_.end() || entry->second.version != version) return;
    entry->second.threads.erase(thread);
    send_drained();
}

// Of each endpoint that no thread uses any more.
void Gateway::send_drained() {
    for (auto entry = draining_.begin(); entry != draining_.end();) {
        if (!entry->second.threads.empty()) {
            ++entry;
            continue;
        }
        link_.send(to_json(link::Drained{entry->first}));
        entry = draining_.erase(entry);
    }
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
    post_to_all([](Worker& worker) { worker.stop(); });
    const Time deadline = io::now() + finish_max;
    const auto open = [this] {
        std::uint64_t count = 0;
        for (const Metrics* metrics : all_metrics()) count += metrics->connections_open.value();
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

std::vector<const Metrics*> Gateway::all_metrics() const {
    std::vector<const Metrics*> all;
    for (const std::vector<Thread>* list : {&threads_, &leaving_}) {
        for (const Thread& thread : *list) all.push_back(thread.metrics.get());
    }
    for (const auto& metrics : ended_metrics_) all.push_back(metrics.get());
    return all;
}

io::Task<rpc::Response> Gateway::get_status(rpc::Request) {
    std::uint64_t connections = 0, requests = 0;
    for (const Metrics* metrics : all_metrics()) {
        connections += metrics->connections_open.value();
        requests += metrics->requests_in_flight.value();
    }
    Json short_of = Json::array();
    for (const Shortage& one : shortages(shared_.alarms, shared_.admission, shared_.memory, io::now()))
        short_of.push_back({{"cause", one.cause}, {"message", one.message}, {"unwell", one.unwell}});
    co_return rpc::json({{"ready", ready_},
                         {"revision", config_->revision},
                         {"threads", threads_.size()},
                         {"connections", connections},
                         {"connections_max", shared_.admission.connections_max()},
                         {"memory_bytes", shared_.memory.used()},
                         {"memory_bytes_max", shared_.memory.limit()},
                         {"requests_in_flight", requests},
                         {"short_of", std::move(short_of)},
                         {"endpoints_version", version_},
                         {"services", to_json(endpoints_)}});
}

io::Task<rpc::Response> Gateway::get_metrics(rpc::Request) {
    const Metrics::Process process{.memory_used = shared_.memory.used(),
                                   .memory_limit = shared_.memory.limit(),
                                   .connections_max = shared_.admission.connections_max(),
                                   .descriptors_max = descriptors_};
    co_return rpc::text(Metrics::prometheus(all_metrics(), process), std::string(prometheus::content_type));
}

}  // namespace

Result<> run(io::Fd link) {
    Gateway gateway(std::move(link));
    return gateway.run();
}

}  // namespace havn::gateway
