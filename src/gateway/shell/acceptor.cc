#include "gateway/shell/acceptor.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "gateway/shell/plain_transport.h"

namespace havn::gateway {
namespace {

constexpr milliseconds pause_length{100};
constexpr std::size_t shed_at_once = 16;  // clients, when descriptors or places are short
constexpr milliseconds idle_min{200};     // between two requests, at the least
constexpr std::string_view service_prefix = "service:";

}  // namespace

void Acceptor::set_listeners(std::vector<Listener::Source> sources) {
    std::vector<std::unique_ptr<Listener>> before = std::exchange(listeners_, {});
    for (Listener::Source& source : sources) {
        const bool of_service = source.name.starts_with(service_prefix);
        const RouteEntry* route =
            of_service ? environment_.settings.service_route(source.name.substr(service_prefix.size()))
                       : nullptr;
        probe_when_silent(source.fd.get());
        listeners_.push_back(std::make_unique<Listener>(*this, std::move(source.fd), route));
    }
    for (const std::unique_ptr<Listener>& listener : listeners_) {
        if (!is_paused(*listener)) listen_to(*listener);
    }
    // The socket stays open elsewhere, so closing ours would not end the old registration.
    for (std::unique_ptr<Listener>& old : before) {
        environment_.poller.remove(old->fd());
        environment_.poller.forget(*old);
        environment_.turn.retired.add(std::move(old));
    }
}

bool Acceptor::is_paused(const Listener& listener) const {
    return listener.of_edge() ? edge_paused_ : services_paused_;
}

void Acceptor::listen_to(Listener& listener) {
    const Result<> added = environment_.poller.add(listener.fd(), listener, Poller::level);
    if (!added) log::error("a listening socket is not heard any more: {}", added.error().text());
}

Admission::Place Acceptor::place_at_hand(bool from_outside) {
    Admission& admission = environment_.shared.admission;
    return from_outside ? admission.reserve() : admission.inside();
}

Admission::Place Acceptor::place_for_one(bool from_outside) {
    Admission& admission = environment_.shared.admission;
    Alarms& alarms = environment_.shared.alarms;
    Admission::Place place = place_at_hand(from_outside);
    // What one thread frees another may take first, which then has nobody to close for itself.
    for (std::size_t tries = 0; !place && tries < shed_at_once && shed_idle(1, idle_min) > 0; ++tries) {
        place = admission.reserve();
        if (environment_.alarms.is_news(alarms.shedding)) {
            log::warning(
                "{} connections from outside are open: those idle for longest are closed for new ones; raise "
                "max_connections in [gateway.limits] or the limit of open files ({})",
                admission.connections(), admission.descriptors_max());
        }
    }
    if (place) return place;
    if (environment_.alarms.is_news(alarms.full)) {
        log::warning(
            "{} connections from outside are open and none has been idle for long: new ones wait; raise "
            "max_connections in [gateway.limits] or the limit of open files ({})",
            admission.connections(), admission.descriptors_max());
    }
    environment_.shared.shed_elsewhere(*this, idle_min);
    pause(false);
    return place;
}

// Services speak for the clients they serve; others only when their network is trusted.
void Acceptor::accepted(io::Fd fd, const IpAddress& address, Admission::Place place,
                        const RouteEntry* service) {
    Admission& admission = environment_.shared.admission;
    const bool trusted = service != nullptr || environment_.settings.is_trusted(address);
    if (!trusted && !admission.settle(place, address)) {
        environment_.metrics.connections_refused.add();
        if (environment_.alarms.is_news(environment_.shared.alarms.address)) {
            log::warning(
                "{} has {} connections open: further ones of it are closed; a proxy of yours belongs into "
                "trusted_proxies, else raise max_connections_per_address in [gateway.limits]",
                to_text(address), admission.per_address_max());
        }
        return;
    }
    Http1Connection& connection = environment_.connections.add(
        environment_.connection, {.address = address, .trusted = trusted, .service = service});
    auto transport =
        std::make_unique<PlainTransport>(environment_.poller, connection, std::move(fd), std::move(place));
    if (!transport->watch()) return environment_.connections.withdraw(connection);
    connection.open(std::move(transport));
    environment_.metrics.connections_accepted.add();
}

void Acceptor::accept_failed(int error_number) {
    if (free_some(error_number)) return;  // the listener is level-triggered and tells again
    if (environment_.alarms.is_news(environment_.shared.alarms.descriptors)) {
        log::warning("accept: {}; trying again", std::strerror(error_number));
    }
    pause(true);
}

bool Acceptor::free_some(int error_number) {
    if (error_number != EMFILE && error_number != ENFILE) return false;
    const std::size_t closed = shed_idle(shed_at_once, Duration::zero());
    if (environment_.alarms.is_news(environment_.shared.alarms.descriptors)) {
        log::warning(
            "{} (limit {}): connections from outside that are idle are closed; raise the limit of open files "
            "(LimitNOFILE of the unit, ulimit -Hn), or lower max_connections in [gateway.limits]",
            std::strerror(error_number), environment_.shared.admission.descriptors_max());
    }
    if (closed == 0) environment_.shared.shed_elsewhere(*this, Duration::zero());
    return closed > 0;
}

std::size_t Acceptor::shed_idle(std::size_t most, Duration idle) {
    return environment_.connections.shed_idle(most, environment_.turn.clock.now() - idle);
}

void Acceptor::pause(bool services_too) {
    for (const std::unique_ptr<Listener>& listener : listeners_) {
        if (!is_paused(*listener) && (listener->of_edge() || services_too)) {
            environment_.poller.remove(listener->fd());
        }
    }
    edge_paused_ = true;
    services_paused_ = services_paused_ || services_too;
    if (!is_set()) environment_.turn.deadlines.set(*this, environment_.turn.clock.now() + pause_length);
}

void Acceptor::resume() {
    if (environment_.settings.stopping()) return;
    for (const std::unique_ptr<Listener>& listener : listeners_) {
        if (is_paused(*listener)) listen_to(*listener);
    }
    edge_paused_ = services_paused_ = false;
}

void Acceptor::on_connection_closed() {
    if (edge_paused_ && !services_paused_ && !environment_.shared.admission.full()) resume();
}

}  // namespace havn::gateway
