#include "gateway/core/http1/connections.h"

#include <algorithm>
#include <utility>

namespace havn::gateway {
namespace {

constexpr std::size_t free_exchanges_max = 1024;
constexpr std::size_t shed_steps_max = 64;  // busy ones looked at to find an idle one

}  // namespace

Http1Connection& Connections::add(const Http1Connection::Environment& environment,
                                  const Http1Connection::Peer& peer) {
    connections_.push_back(std::make_unique<Http1Connection>(environment, peer));
    Http1Connection& connection = *connections_.back();
    connection.listed.slot = connections_.size() - 1;
    if (!connection.service()) connection.listed.by_age = by_age_.insert(by_age_.end(), &connection);
    metrics_.connections_open.add();
    return connection;
}

void Connections::withdraw(Http1Connection& connection) {
    remove(connection);
}

std::unique_ptr<Http1Connection> Connections::remove(Http1Connection& connection) {
    Http1Connection::Listed& listed = connection.listed;
    if (listed.later_slot != SIZE_MAX) {
        driven_later_[listed.later_slot] = driven_later_.back();
        driven_later_[listed.later_slot]->listed.later_slot = listed.later_slot;
        driven_later_.pop_back();
        listed.later_slot = SIZE_MAX;
    }
    if (!connection.service()) by_age_.erase(listed.by_age);
    const std::size_t slot = listed.slot;
    std::unique_ptr<Http1Connection> removed = std::move(connections_[slot]);
    if (slot + 1 != connections_.size()) {
        connections_[slot] = std::move(connections_.back());
        connections_[slot]->listed.slot = slot;
    }
    connections_.pop_back();
    metrics_.connections_open.subtract();
    return removed;
}

void Connections::closed(Http1Connection& connection) {
    retired_.add(remove(connection));
    observer_.on_connection_closed();
}

void Connections::stop() {
    for (std::size_t i = connections_.size(); i-- > 0;) connections_[i]->stop();  // those that close leave
}

// The oldest first. A busy one that stands in the way goes to the end, where it belongs when it is done.
std::size_t Connections::shed_idle(std::size_t most, Time time) {
    std::size_t closed = 0;
    const std::size_t steps = std::min(by_age_.size(), shed_steps_max + most);
    for (std::size_t i = 0; i < steps && closed < most; ++i) {
        Http1Connection& oldest = *by_age_.front();
        if (oldest.idle_since(time)) {
            oldest.close_idle();
            ++closed;
        } else {
            by_age_.splice(by_age_.end(), by_age_, by_age_.begin());
        }
    }
    metrics_.connections_shed.add(closed);
    return closed;
}

void Connections::drive_later(Http1Connection& connection) {
    if (connection.listed.later_slot != SIZE_MAX) return;
    connection.listed.later_slot = driven_later_.size();
    driven_later_.push_back(&connection);
}

// One that closes meanwhile lives to the end of the turn.
void Connections::drive_waiting() {
    const std::vector<Http1Connection*> later = std::exchange(driven_later_, {});
    for (Http1Connection* connection : later) connection->listed.later_slot = SIZE_MAX;
    for (Http1Connection* connection : later) connection->drive();
}

void Connections::note_waiting(Http1Connection& connection) {
    if (!connection.service()) by_age_.splice(by_age_.end(), by_age_, connection.listed.by_age);
}

std::unique_ptr<Http1Exchange> Connections::take_exchange() {
    if (exchanges_.empty()) return std::make_unique<Http1Exchange>(exchange_environment_);
    std::unique_ptr<Http1Exchange> exchange = std::move(exchanges_.back());
    exchanges_.pop_back();
    return exchange;
}

// Its own code may still be running: what is too many is freed by trim().
void Connections::give_back(std::unique_ptr<Http1Exchange> exchange) {
    exchange->reset();
    exchanges_.push_back(std::move(exchange));
}

void Connections::trim() {
    if (exchanges_.size() > free_exchanges_max) exchanges_.resize(free_exchanges_max);
}

}  // namespace havn::gateway
