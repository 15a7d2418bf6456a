// How the vhost comes to be what it was: recovery from the log, and the configuration.
#include <algorithm>

#include "broker/core/topology.h"
#include "broker/core/vhost.h"
#include "wire/amqp/properties.h"

namespace havn::broker {

void Vhost::on_topology(std::string_view key, std::string_view value) {
    if (key == topology::next_id_key) {
        next_id_ = reserved_id_ = topology::read_id(value).value_or(next_id_);
    } else if (key.starts_with('x')) {
        if (auto spec = topology::read_exchange(key, value)) {
            exchanges_[spec->name] = std::make_unique<Exchange>(*spec);
        }
    } else if (key.starts_with('q')) {
        auto record = topology::read_queue(key, value);
        if (!record || !recover_queue(std::move(*record))) park_queue(key.substr(1), value);
    } else if (key.starts_with('b')) {
        // Pairs come in any order; bindings need both their ends.
        if (auto record = topology::read_binding(key)) recovered_bindings_.push_back(std::move(*record));
    }
}

bool Vhost::recover_queue(topology::QueueRecord record) {
    auto arguments = queue_arguments({record.spec.arguments}, record.spec.name);
    if (arguments) insert_queue(std::move(record.spec), std::move(*arguments), record.id);
    return arguments.has_value();
}

// A queue whose record this version does not understand: its messages stay in the log and are not served. One
// declared anew under its name takes over its id, and with it, at the next start, its messages.
void Vhost::park_queue(std::string_view name, std::string_view value) {
    parked_.emplace(name, topology::read_id(value.substr(0, 4)).value_or(0));  // 0: it may be any
}

bool Vhost::is_parked(QueueId id) const {
    return std::ranges::any_of(parked_, [&](const auto& parked) {
        return parked.second == 0 || parked.second == static_cast<std::uint32_t>(id);
    });
}

// While nobody is connected, the manifest's word can be put through.
void Vhost::keep_promised_queues() {
    for (auto& [name, queue] : queues_) {
        if (!is_promised(name) || !queue->stored() || queue->stays()) continue;
        queue->stay();
        journal.put(topology::queue_key(name), topology::queue_value(queue->spec(), queue->id()));
    }
}

void Vhost::on_topology_complete() {
    for (const topology::BindingRecord& record : recovered_bindings_) recover_binding(record);
    recovered_bindings_.clear();
    for (auto& [name, queue] : queues_) queue->touch();
    router.topology_changed();
}

void Vhost::recover_binding(const topology::BindingRecord& record) {
    Exchange* source = find_exchange(record.source);
    Queue* queue = record.to_queue ? find_queue(record.destination) : nullptr;
    Exchange* exchange = record.to_queue ? nullptr : find_exchange(record.destination);
    if (!source || (!queue && !exchange)) return;
    insert_binding(*source, record.identity, queue, exchange, record.routing_key, {record.arguments});
}

// How long it has been waiting. A clock that was set back does not make a message older or younger than new.
static Milliseconds age_of(const History& history, WallMilliseconds now) {
    return history.published == 0 ? 0 : std::max<Milliseconds>(0, now - history.published);
}

bool Vhost::on_delivery(QueueId id, DeliveryId delivery, std::uint32_t offset, const Message::Parts& parts,
                        const History& history) {
    const auto found = by_id_.find(static_cast<std::uint32_t>(id));
    if (found == by_id_.end()) return is_parked(id);
    const Milliseconds age = age_of(history, wall_milliseconds());
    Entry entry;
    entry.id = delivery;
    entry.offset = offset;
    entry.size = static_cast<std::uint32_t>(parts.body.size());
    if (const auto properties = amqp::parse_properties(parts.properties)) {
        entry.priority = properties->priority;
        const auto ttl = parse_expiration(properties->expiration);
        if (properties->has(amqp::Properties::has_expiration) && ttl)
            entry.expires = std::clamp<Milliseconds>(now_ + *ttl - age, 0, never);
    }
    entry.failures = std::min(history.attempts, 4095u);
    const std::size_t size = parts.body.size() + parts.properties.size();
    if (MessagePtr::bytes_in_memory() + size < config.memory_bytes_for_content) {
        hold(entry, MessagePtr::make(parts));
    }
    ++entries_;
    found->second->recover(std::move(entry), age);
    return true;
}

// The queues the configuration promises are durable and stay. One in the way that is not is left alone, for
// it is somebody's; but it is named, what is to be confirmed as durable is refused by it, and the promised
// one takes its place as soon as it is gone.
Result<> Vhost::apply(const Config& wanted) {
    config = wanted;
    memory.set_limit(config.memory_bytes == 0 ? UINT64_MAX / 2 : config.memory_bytes);
    for (const QueuePolicy& policy : config.queues) {
        declare_policy_queue(policy.name);
        if (policy.max_attempts > 0) declare_policy_queue(policy.name + std::string(failed_suffix));
    }
    if (connections.empty()) keep_promised_queues();
    std::string in_the_way;
    for (auto& [name, queue] : queues_) {
        const auto policy = std::ranges::find(config.queues, name, &QueuePolicy::name);
        queue->set_policy(policy == config.queues.end() ? nullptr : &*policy);
        queue->in_the_way = is_promised(name) && !queue->stays();
        if (!queue->in_the_way) continue;
        in_the_way += (in_the_way.empty() ? "'" : ", '") + name + "'";
    }
    if (in_the_way.empty()) return {};
    return fail(Error::Kind::conflict,
                "the manifest's queue " + in_the_way +
                    " exists already, and not as a durable queue that stays: a client declared it",
                "delete it (its messages go), or stop the client that declared it, which must say durable");
}

bool Vhost::is_promised(std::string_view queue) const {
    const auto names = [&](const QueuePolicy& policy) {
        if (policy.name == queue) return true;
        return policy.max_attempts > 0 && queue.size() == policy.name.size() + failed_suffix.size() &&
               queue.starts_with(policy.name) && queue.ends_with(failed_suffix);
    };
    return std::ranges::any_of(config.queues, names);
}

void Vhost::declare_policy_queue(const std::string& name) {
    if (!find_queue(name)) add_queue({.name = name, .durable = true}, {});
}

std::optional<Milliseconds> parse_expiration(std::string_view text) {
    if (text.empty() || text.size() > 12) return std::nullopt;
    Milliseconds value = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9') return std::nullopt;
        value = value * 10 + (digit - '0');
    }
    return value;
}

}  // namespace havn::broker
