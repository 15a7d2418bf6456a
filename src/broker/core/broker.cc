#include "broker/core/broker.h"

#include <algorithm>

#include "broker/core/vhost.h"

namespace havn::broker {

Broker::Broker(const Config& config, Journal& journal, Waker& waker, Time now, WallTime wall)
    : vhost_(std::make_unique<Vhost>(config, journal, waker, now, wall)) {}
Broker::~Broker() = default;

void Broker::on_topology(std::string_view key, std::string_view value) {
    vhost_->on_topology(key, value);
}
void Broker::on_topology_complete() {
    vhost_->on_topology_complete();
}
bool Broker::on_delivery(QueueId queue, DeliveryId delivery, std::uint32_t offset,
                         const Message::Parts& message, const History& history) {
    return vhost_->on_delivery(queue, delivery, offset, message, history);
}

Result<> Broker::apply(const Config& config) {
    Result<> applied = vhost_->apply(config);
    vhost_->run();  // recovered queues and messages register their expiry
    return applied;
}
const Config& Broker::config() const {
    return vhost_->config;
}
Time Broker::next_deadline() const {
    return vhost_->next_deadline();
}

void Broker::on_time(Time now, WallTime wall) {
    vhost_->set_clock(now, wall);
    vhost_->on_time();
}

void Broker::set_alarm(std::string_view reason) {
    vhost_->set_alarm(reason);
}
const Counters& Broker::counters() const {
    return vhost_->counters;
}
std::uint64_t Broker::content_bytes() const {
    return MessagePtr::bytes_in_memory();
}
const std::string& Broker::alarm() const {
    return vhost_->alarm();
}
bool Broker::memory_alarm() const {
    return vhost_->memory_alarm();
}
std::uint64_t Broker::memory_used() const {
    return vhost_->memory_used();
}

std::vector<QueueStats> Broker::queue_stats() const {
    std::vector<QueueStats> stats;
    for (const auto& [name, queue] : vhost_->queues()) {
        const Queue::Tally& tally = queue->tally();
        stats.push_back({.name = name,
                         .durable = queue->stored(),
                         .ready = queue->stored_count(),
                         .unacked = queue->unacked_count(),
                         .consumers = queue->consumers().size(),
                         .bytes = queue->bytes(),
                         .published = tally.published,
                         .delivered = tally.delivered,
                         .acknowledged = tally.acknowledged});
    }
    std::ranges::sort(stats, {}, &QueueStats::name);
    return stats;
}

std::vector<std::string> Broker::parked_queues() const {
    std::vector<std::string> names;
    for (const auto& [name, id] : vhost_->parked_queues()) names.push_back(name);
    std::ranges::sort(names);
    return names;
}

Result<std::uint64_t> Broker::purge(std::string_view name) {
    Queue* queue = vhost_->find_queue(name);
    if (!queue) return fail(Error::Kind::not_found, "no queue '" + std::string(name) + "'");
    return queue->purge();
}

}  // namespace havn::broker
