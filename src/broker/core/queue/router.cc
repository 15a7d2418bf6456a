#include "broker/core/queue/router.h"

#include <algorithm>

#include "broker/core/queue/queue.h"
#include "broker/core/queue/vhost.h"

namespace havn::broker {

const Route& Router::find(std::string_view exchange, std::string_view routing_key, amqp::Table headers) {
    const std::hash<std::string_view> hash;
    Slot& slot = slots_[(hash(routing_key) + 31 * hash(exchange)) % slot_count];
    if (slot.version == version_ && slot.routing_key == routing_key && slot.exchange == exchange) {
        return slot.route;
    }
    uncached_.exchange = vhost_.find_exchange(exchange);
    uncached_.queues.clear();
    if (!uncached_.exchange) return uncached_;
    resolve(uncached_, routing_key, headers);
    if (saw_headers_) return uncached_;
    slot.version = version_;
    slot.exchange = exchange;
    slot.routing_key = routing_key;
    slot.route = uncached_;
    return slot.route;
}

void Router::add_queue(Route& route, Queue& queue) {
    if (queue.routed == mark_) return;
    queue.routed = mark_;
    route.queues.push_back(&queue);
}

void Router::resolve(Route& route, std::string_view routing_key, amqp::Table headers) {
    ++mark_;
    saw_headers_ = false;
    const auto visit = [&](Exchange* exchange) {
        if (exchange && std::ranges::find(walk_, exchange) == walk_.end()) walk_.push_back(exchange);
    };
    walk_.assign(1, route.exchange);
    for (std::size_t at = 0; at < walk_.size(); ++at) {
        Exchange& exchange = *walk_[at];
        if (exchange.is_default()) {
            if (Queue* queue = vhost_.find_queue(routing_key)) add_queue(route, *queue);
            continue;
        }
        saw_headers_ |= exchange.spec().type == ExchangeType::headers;
        found_.clear();
        exchange.match(routing_key, headers, found_);
        for (const Binding* binding : found_) {
            if (binding->queue) {
                add_queue(route, *binding->queue);
            } else {
                visit(binding->exchange);
            }
        }
        if (found_.empty() && !exchange.alternate().empty()) {
            visit(vhost_.find_exchange(exchange.alternate()));
        }
    }
}

}  // namespace havn::broker
