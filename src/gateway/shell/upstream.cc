#include "gateway/shell/upstream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "gateway/shell/exchange.h"
#include "io/net.h"

namespace havn::gateway {

void UpstreamConnection::on_ready(std::uint32_t events) {
    socket.note(events);
    if (exchange) {
        exchange->drive();
    } else if (socket.readable()) {
        services_.discard_idle(*this);
    }
}

int UpstreamConnection::finish_connect() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) connecting_ = false;
    return error;
}

Endpoint::Endpoint() = default;
Endpoint::~Endpoint() {
    leave_metrics();
}

void Endpoint::leave_metrics() {
    if (!metrics_) return;
    metrics_->in_flight.subtract(in_flight);
    if (std::exchange(ejected_shown_, false)) metrics_->ejected.subtract();
}

void Endpoint::become(std::uint32_t number, std::shared_ptr<InstanceMetrics> counted) {
    leave_metrics();
    instance = number;
    metrics_ = std::move(counted);
    metrics_->in_flight.add(in_flight);
    show_ejected();
}

void Endpoint::request_begins() {
    ++in_flight;
    metrics_->in_flight.add();
    metrics_->requests.add();
}

void Endpoint::request_ends() {
    HAVN_ASSERT(in_flight > 0, "every request is counted once");
    --in_flight;
    metrics_->in_flight.subtract();
}

void Endpoint::attempt_failed(Time now) {
    metrics_->failures.add();
    note_failure(*this, service->health(), now);
    show_ejected();
}

void Endpoint::answered() {
    note_success(*this);
    show_ejected();
}

void Endpoint::show_ejected() {
    if (ejected == ejected_shown_) return;
    ejected_shown_ = ejected;
    if (ejected) {
        metrics_->ejected.add();
    } else {
        metrics_->ejected.subtract();
    }
}

Service& Services::get(const std::string& name) {
    std::unique_ptr<Service>& service = services_[name];
    if (!service) {
        service = std::make_unique<Service>();
        service->name = service->settings.name = name;
        service->metrics = &metrics_.service(name);
    }
    return *service;
}

static void apply_weights(Service& service) {
    const std::vector<std::uint32_t>& weights = service.settings.weights;
    for (Candidate* candidate : service.candidates) {
        const std::uint32_t instance = static_cast<Endpoint*>(candidate)->instance;
        candidate->weight = instance <= weights.size() ? weights[instance - 1] : 1;
    }
}

void Services::configure(const std::vector<UpstreamConfig>& upstreams) {
    for (const UpstreamConfig& upstream : upstreams) {
        Service& service = get(upstream.name);
        service.settings = upstream;
        apply_weights(service);
    }
}

static std::unique_ptr<Endpoint> make_endpoint(Service& service, const std::string& address) {
    const Result<io::Address> parsed = io::parse_address(address);
    if (!parsed) {
        log::error("service {}: {}", service.name, parsed.error().text());
        return nullptr;
    }
    auto endpoint = std::make_unique<Endpoint>();
    endpoint->service = &service;
    endpoint->address = address;
    endpoint->socket_address_size = static_cast<socklen_t>(parsed->endpoint.size());
    std::memcpy(&endpoint->socket_address, parsed->endpoint.data(), parsed->endpoint.size());
    return endpoint;
}

void Services::set_endpoints(const Table& table, std::uint64_t version) {
    for (const auto& [name, entries] : table) get(name);
    for (auto& [name, service] : services_) {
        const auto row = table.find(name);
        const std::vector<Entry> entries = row == table.end() ? std::vector<Entry>() : row->second;
        std::vector<Endpoint*> gone;
        for (const auto& endpoint : service->endpoints) {
            if (!endpoint->removed &&
                std::ranges::find(entries, endpoint->address, &Entry::address) == entries.end()) {
                gone.push_back(endpoint.get());
            }
        }
        service->candidates.clear();
        for (const auto& [address, instance] : entries) {
            auto known = std::ranges::find(service->endpoints, address, &Endpoint::address);
            const bool is_new = known == service->endpoints.end();
            if (is_new) {
                std::unique_ptr<Endpoint> made = make_endpoint(*service, address);
                if (!made) continue;
                made->id = ++endpoints_made_;
                known = service->endpoints.insert(known, std::move(made));
            } else if ((*known)->removed) {  // another process may answer there by now
                (*known)->removed = false;
                (*known)->id = ++endpoints_made_;
                (*known)->ejected = false;
                (*known)->fails = 0;
            }
            if ((*known)->instance != instance || is_new)
                (*known)->become(instance, metrics_.instance(name, instance));
            (*known)->show_ejected();
            service->candidates.push_back(known->get());
        }
        apply_weights(*service);
        for (Endpoint* endpoint : gone) remove_endpoint(*endpoint, version);
    }
    metrics_.forget_gone_instances();
}

void Services::remove_endpoint(Endpoint& endpoint, std::uint64_t version) {
    endpoint.removed = true;
    endpoint.removed_by = version;
    while (!endpoint.idle.empty()) discard_idle(*endpoint.idle.back());
    destroy_if_unused(endpoint);
}

void Services::destroy_if_unused(Endpoint& endpoint) {
    if (!endpoint.removed || endpoint.in_flight > 0) return;
    observer_.on_drained(endpoint.address, endpoint.removed_by);
    auto& all = endpoint.service->endpoints;
    all.erase(std::ranges::find(all, &endpoint, &std::unique_ptr<Endpoint>::get));
}

std::unique_ptr<UpstreamConnection> Services::acquire(Endpoint& endpoint, Exchange& exchange, bool fresh) {
    std::unique_ptr<UpstreamConnection> connection;
    if (!fresh && !endpoint.idle.empty()) {
        connection = std::move(endpoint.idle.back());
        endpoint.idle.pop_back();
        connection->reused_ = true;
    } else {
        connection = connect(endpoint);
    }
    if (connection) connection->exchange = &exchange;
    return connection;
}

std::unique_ptr<UpstreamConnection> Services::connect(Endpoint& endpoint) {
    const int family = endpoint.socket_address.ss_family, kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    io::Fd fd(::socket(family, kind, 0));
    if (!fd && observer_.free_descriptors(errno)) fd.reset(::socket(family, kind, 0));
    if (!fd) return nullptr;
    if (endpoint.socket_address.ss_family != AF_UNIX) {
        const int on = 1;
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    endpoint.service->metrics->connects.add();
    const int connected = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&endpoint.socket_address),
                                    endpoint.socket_address_size);
    if (connected != 0 && errno != EINPROGRESS) return nullptr;
    auto connection = std::make_unique<UpstreamConnection>(*this, endpoint, std::move(fd), connected != 0);
    connection->place_ = observer_.place_inside();
    if (connected != 0) connection->socket.not_writable_yet();
    if (!poller_.add(connection->socket.fd(), *connection, Poller::edge)) return nullptr;
    return connection;
}

bool Services::is_stale(UpstreamConnection& connection) {
    char byte;
    const ssize_t got = ::recv(connection.socket.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || errno != EAGAIN;
}

void Services::release(std::unique_ptr<UpstreamConnection> connection, bool reusable) {
    Endpoint& endpoint = connection->endpoint();
    connection->exchange = nullptr;
    const bool room = endpoint.idle.size() < endpoint.service->settings.keepalive;
    if (reusable && room && !endpoint.removed && !connection->socket.readable()) {
        endpoint.idle.push_back(std::move(connection));
    } else {
        close(std::move(connection));
    }
}

void Services::discard_idle(UpstreamConnection& connection) {
    auto& idle = connection.endpoint().idle;
    const auto found = std::ranges::find(idle, &connection, &std::unique_ptr<UpstreamConnection>::get);
    std::unique_ptr<UpstreamConnection> owned = std::move(*found);
    idle.erase(found);
    close(std::move(owned));
}

void Services::close(std::unique_ptr<UpstreamConnection> connection) {
    connection->socket.close();
    poller_.retire(std::move(connection));
}

void Services::request_done(Endpoint& endpoint) {
    endpoint.request_ends();
    destroy_if_unused(endpoint);
}

}  // namespace havn::gateway
