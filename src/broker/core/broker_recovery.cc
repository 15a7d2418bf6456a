#include "broker/core/broker_recovery.h"

#include <algorithm>

#include "wire/amqp/properties.h"

namespace havn::broker {

namespace {

// How long it has been waiting. A clock that was set back does not make a message older or younger than new.
Milliseconds age_of(const History& history, WallMilliseconds now) {
    return history.published == 0 ? 0 : std::max<Milliseconds>(0, now - history.published);
}

}  // namespace

Vhost& BrokerRecovery::vhost(std::string_view name) {
    auto& slot = vhosts_[std::string(name)];
    if (!slot) slot = std::make_unique<Vhost>(std::string(name), context_);
    return *slot;
}

void BrokerRecovery::on_topology(std::string_view key, std::string_view value) {
    if (key == topology::next_id_key) {
        if (const auto id = topology::read_id(value)) context_.ids.recover(*id);
        return;
    }
    const std::optional<topology::Key> read = topology::read_key(key);
    if (!read) return;
    if (read->outdated) outdated_.emplace_back(key, value);
    switch (read->kind) {
        case topology::Key::Kind::exchange:
            if (auto spec = topology::read_exchange(*read, value)) {
                vhost(read->vhost).recover_exchange(std::move(*spec));
            }
            break;
        case topology::Key::Kind::queue:
            recover_queue(*read, value);
            break;
        case topology::Key::Kind::binding:
            // Pairs come in any order; bindings need both their ends.
            if (auto record = topology::read_binding(*read)) bindings_.push_back(std::move(*record));
            break;
    }
}

void BrokerRecovery::recover_queue(const topology::Key& key, std::string_view value) {
    std::optional<topology::QueueRecord> record = topology::read_queue(key, value);
    if (!record) return vhost(key.vhost).park_queue(key.rest, value);
    vhost(key.vhost).recover_queue(std::move(*record), value);
}

void BrokerRecovery::on_topology_complete() {
    for (const topology::BindingRecord& record : bindings_) vhost(record.vhost).recover_binding(record);
    bindings_.clear();
    for (auto& [name, vhost] : vhosts_) vhost->recovered();
}

bool BrokerRecovery::on_delivery(QueueId id, DeliveryId delivery, std::uint32_t offset,
                                 const Message::Parts& parts, const History& history) {
    Queue* queue = context_.ids.find(id);
    if (!queue) {
        return std::ranges::any_of(vhosts_, [&](const auto& named) { return named.second->is_parked(id); });
    }
    const Milliseconds age = age_of(history, context_.clock.wall_milliseconds());
    Entry entry;
    entry.id = delivery;
    entry.offset = offset;
    entry.size = static_cast<std::uint32_t>(parts.body.size());
    if (const auto properties = amqp::parse_properties(parts.properties)) {
        entry.priority = properties->priority;
        const std::optional<Milliseconds> ttl = parse_expiration(properties->expiration);
        if (properties->has(amqp::Properties::has_expiration) && ttl) {
            entry.expires = std::clamp<Milliseconds>(context_.clock.now() + *ttl - age, 0, never);
        }
    }
    entry.failures = std::min(history.attempts, Entry::failures_max);
    const bool keeps = context_.store.keeps_content(parts.body.size() + parts.properties.size());
    context_.store.admit(entry, keeps ? MessagePtr::make(parts) : MessagePtr{});
    queue->recover(std::move(entry), age);
    return true;
}

// The new record stands before the old one goes, so that a crash between leaves both, and never none.
void BrokerRecovery::rewrite_outdated() {
    for (const auto& [key, value] : outdated_) {
        context_.store.journal().put(topology::current_key(*topology::read_key(key)), value);
        context_.store.journal().erase(key);
    }
    outdated_.clear();
}

}  // namespace havn::broker
