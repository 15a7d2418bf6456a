#include "broker/core/queue/vhost.h"

#include <algorithm>

#include "base/assert.h"

namespace havn::broker {

namespace {

constexpr std::uint64_t queue_bytes = 2'048;  // a queue, its arguments and bindings, about

}  // namespace

Vhost::Vhost(std::string name, const VhostContext& context)
    : name_(std::move(name)), context_(context), router_(*this) {
    const auto declare = [&](std::string_view exchange, ExchangeType type) {
        add_exchange({.name = std::string(exchange), .type = type, .durable = true});
    };
    declare("", ExchangeType::direct);
    declare("amq.direct", ExchangeType::direct);
    declare("amq.fanout", ExchangeType::fanout);
    declare("amq.topic", ExchangeType::topic);
    declare("amq.headers", ExchangeType::headers);
    declare("amq.match", ExchangeType::headers);
}

Exchange* Vhost::find_exchange(std::string_view name) {
    const auto found = exchanges_.find(name);
    return found == exchanges_.end() ? nullptr : found->second.get();
}

Queue* Vhost::find_queue(std::string_view name) {
    const auto found = queues_.find(name);
    return found == queues_.end() ? nullptr : found->second.get();
}

Exchange& Vhost::add_exchange(ExchangeSpec spec) {
    Journal& journal = store().journal();
    const bool stored = spec.durable && !spec.name.empty() && !spec.name.starts_with("amq.");
    if (stored) journal.put(topology::exchange_key(name_, spec.name), topology::exchange_value(spec));
    auto& slot = exchanges_[spec.name];
    slot = std::make_unique<Exchange>(std::move(spec));
    if (stored) slot->declared_at = journal.position();
    router_.topology_changed();
    return *slot;
}

void Vhost::delete_exchange(Exchange& exchange) {
    exchange.deleted = true;
    const std::vector<Binding*> incoming = std::exchange(exchange.incoming, {});
    for (Binding* binding : incoming) remove_binding(*binding);
    while (exchange.has_bindings()) remove_binding(*exchange.bindings().begin()->second);
    if (exchange.spec().durable) store().journal().erase(topology::exchange_key(name_, exchange.name()));
    exchanges_.erase(exchanges_.find(exchange.name()));
    router_.topology_changed();
}

// A queue declared anew under the name of a parked one takes over its id, and with it, at the next start, its
// messages.
QueueId Vhost::take_queue_id(const std::string& name) {
    const auto parked = parked_.find(name);
    if (parked == parked_.end() || parked->second == 0) return context_.ids.next();
    const QueueId id{parked->second};
    parked_.erase(parked);
    return id;
}

Queue& Vhost::add_queue(QueueSpec spec, QueueArguments arguments) {
    Journal& journal = store().journal();
    const bool stored = spec.durable && !spec.owner;
    const QueueId id = stored ? take_queue_id(spec.name) : QueueId{0};
    if (stored) journal.put(topology::queue_key(name_, spec.name), topology::queue_value(spec, id));
    Queue& queue = insert_queue(std::move(spec), std::move(arguments), id);
    if (stored) queue.declared_at = journal.position();
    queue.touch();
    return queue;
}

Queue& Vhost::insert_queue(QueueSpec spec, QueueArguments arguments, QueueId id) {
    QueueOwner* owner = spec.owner;
    auto& slot = queues_[spec.name];
    if (!slot) store().budget().take(queue_bytes);
    slot = std::make_unique<Queue>(*this, std::move(spec), std::move(arguments), id);
    slot->turn.suspended = !served_;
    if (slot->stored()) context_.ids.add(id, *slot);
    if (owner) owner->queues.insert(slot.get());
    slot->set_policy(policy_of(slot->name()));
    router_.topology_changed();
    return *slot;
}

void Vhost::delete_queue(Queue& queue) {
    queue.deleted = true;
    if (QueueOwner* owner = queue.spec().owner) owner->queues.erase(&queue);
    const std::vector<Binding*> incoming = std::exchange(queue.incoming, {});
    for (Binding* binding : incoming) remove_binding(*binding);
    const std::vector<Consumer*> consumers = queue.consumers().all();
    for (Consumer* consumer : consumers) consumer->cancelled();
    queue.purge();
    if (queue.stored()) {
        store().journal().erase(topology::queue_key(name_, queue.name()));
        context_.ids.remove(queue.id());
    }
    const auto found = queues_.find(queue.name());
    scheduler().retire(std::move(found->second));
    queues_.erase(found);
    store().budget().give_back(queue_bytes);
    router_.topology_changed();
    // The configuration says that it is there: whoever deletes it empties it.
    if (is_promised(queue.name())) declare_policy_queue(queue.name());
}

Binding& Vhost::bind(Exchange& source, Queue* queue, Exchange* exchange, std::string_view key,
                     amqp::Table arguments) {
    const std::string identity = topology::binding_identity(
        queue != nullptr, queue ? queue->name() : exchange->name(), key, arguments);
    if (Binding* binding = source.find(identity)) return *binding;
    Binding& binding = insert_binding(source, identity, queue, exchange, key, arguments);
    if (source.spec().durable && (queue ? queue->stored() : exchange->spec().durable)) {
        store().journal().put(topology::binding_key(name_, source.name(), identity), "");
        binding.declared_at = store().journal().position();
    }
    return binding;
}

Binding& Vhost::insert_binding(Exchange& source, const std::string& identity, Queue* queue,
                               Exchange* exchange, std::string_view key, amqp::Table arguments) {
    Binding& binding = source.add(identity, {.queue = queue,
                                             .exchange = exchange,
                                             .routing_key = std::string(key),
                                             .arguments = std::string(arguments.bytes)});
    (queue ? queue->incoming : exchange->incoming).push_back(&binding);
    router_.topology_changed();
    return binding;
}

void Vhost::unbind(Exchange& source, Queue* queue, Exchange* exchange, std::string_view key,
                   amqp::Table arguments) {
    const std::string identity = topology::binding_identity(
        queue != nullptr, queue ? queue->name() : exchange->name(), key, arguments);
    if (Binding* binding = source.find(identity)) remove_binding(*binding);
}

// An auto_delete exchange goes with the last binding that leads away from it, however that went.
void Vhost::remove_binding(Binding& binding) {
    Exchange& source = *binding.source;
    Queue* queue = binding.queue;
    Exchange* exchange = binding.exchange;
    const std::string identity = topology::binding_identity(
        queue != nullptr, queue ? queue->name() : exchange->name(), binding.routing_key, binding.table());
    if (source.spec().durable && (queue ? queue->stored() : exchange->spec().durable)) {
        store().journal().erase(topology::binding_key(name_, source.name(), identity));
    }
    std::erase(queue ? queue->incoming : exchange->incoming, &binding);
    source.remove(identity);
    router_.topology_changed();
    if (source.spec().auto_delete && !source.has_bindings() && !source.deleted) delete_exchange(source);
}

bool Vhost::enqueue(const Publication& publication, std::span<Queue* const> queues) {
    const MessagePtr message = MessagePtr::make(publication.parts);
    MessageStore& messages = store();
    Journal::Placement placement;
    if (publication.persistent) {
        stored_in_.clear();
        for (const Queue* queue : queues) {
            if (queue->stored()) stored_in_.push_back(queue->id());
        }
        if (!stored_in_.empty()) {
            placement = messages.journal().append(*message, stored_in_, clock().wall_milliseconds());
        }
    }
    for (Queue* queue : queues) {
        Entry entry;
        entry.size = static_cast<std::uint32_t>(publication.parts.body.size());
        entry.priority = publication.priority;
        if (placement.first.stored() && queue->stored()) {
            entry.id = placement.first;
            entry.offset = placement.offset;
            ++placement.first.ordinal;
        }
        messages.admit(entry, message);
        queue->push(std::move(entry), publication.expiration);
    }
    return placement.first.stored();
}

const QueuePolicy* Vhost::policy_of(std::string_view queue) const {
    const auto policy = std::ranges::find(config_.queues, queue, &QueuePolicy::name);
    return policy == config_.queues.end() ? nullptr : &*policy;
}

bool Vhost::is_promised(std::string_view queue) const {
    const auto names = [&](const QueuePolicy& policy) {
        if (policy.name == queue) return true;
        return policy.max_attempts > 0 && queue.size() == policy.name.size() + failed_suffix.size() &&
               queue.starts_with(policy.name) && queue.ends_with(failed_suffix);
    };
    return std::ranges::any_of(config_.queues, names);
}

void Vhost::declare_policy_queue(const std::string& name) {
    if (!find_queue(name)) add_queue({.name = name, .durable = true}, {});
}

void Vhost::configure(const VhostConfig& wanted) {
    config_ = wanted;
    if (std::exchange(served_, true)) return;
    for (auto& [name, queue] : queues_) {
        queue->turn.suspended = false;
        queue->touch();
        scheduler().schedule(*queue);
    }
}

// One queue in the way of a promised one is left alone, for it is somebody's; but it is named, what is to be
// confirmed as durable is refused by it, and the promised one takes its place as soon as it is gone.
void Vhost::apply(const VhostConfig& wanted, bool nobody_is_connected, std::vector<std::string>& in_the_way) {
    configure(wanted);
    for (const QueuePolicy& policy : config_.queues) {
        declare_policy_queue(policy.name);
        if (policy.max_attempts > 0) declare_policy_queue(policy.name + std::string(failed_suffix));
    }
    if (nobody_is_connected) keep_promised_queues();
    for (auto& [name, queue] : queues_) {
        queue->set_policy(policy_of(name));
        queue->in_the_way = is_promised(name) && !queue->stays();
        if (queue->in_the_way) in_the_way.push_back(name);
    }
}

// While nobody is connected, the configuration's word can be put through.
void Vhost::keep_promised_queues() {
    for (auto& [name, queue] : queues_) {
        if (!is_promised(name) || !queue->stored() || queue->stays()) continue;
        queue->stay();
        store().journal().put(topology::queue_key(name_, name),
                              topology::queue_value(queue->spec(), queue->id()));
    }
}

void Vhost::suspend() {
    served_ = false;
    for (auto& [name, queue] : queues_) {
        queue->turn.suspended = true;
        scheduler().set_due(*queue, never);
    }
}

void Vhost::recover_exchange(ExchangeSpec spec) {
    auto& slot = exchanges_[spec.name];
    slot = std::make_unique<Exchange>(std::move(spec));
}

void Vhost::recover_queue(topology::QueueRecord record, std::string_view value) {
    auto arguments = queue_arguments({record.spec.arguments}, {record.spec.name, name_});
    if (!arguments) return park_queue(record.spec.name, value);
    insert_queue(std::move(record.spec), std::move(*arguments), record.id);
}

void Vhost::park_queue(std::string_view name, std::string_view value) {
    parked_.emplace(name, topology::read_id(value.substr(0, 4)).value_or(0));
}

bool Vhost::is_parked(QueueId id) const {
    return std::ranges::any_of(parked_, [&](const auto& parked) {
        return parked.second == 0 || parked.second == static_cast<std::uint32_t>(id);
    });
}

void Vhost::recover_binding(const topology::BindingRecord& record) {
    Exchange* source = find_exchange(record.source);
    Queue* queue = record.to_queue ? find_queue(record.destination) : nullptr;
    Exchange* exchange = record.to_queue ? nullptr : find_exchange(record.destination);
    if (!source || (!queue && !exchange) || source->find(record.identity)) return;
    insert_binding(*source, record.identity, queue, exchange, record.routing_key, {record.arguments});
}

void Vhost::recovered() {
    for (auto& [name, queue] : queues_) queue->touch();
    router_.topology_changed();
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
