#include "broker/core/vhost.h"

#include <algorithm>

#include "base/assert.h"
#include "broker/core/channel.h"
#include "broker/core/conversation.h"

namespace havn::broker {

namespace {

constexpr std::uint64_t entry_bytes = 64;     // a place in a queue, or with a consumer
constexpr std::uint64_t queue_bytes = 2'048;  // a queue, its arguments and bindings, about
constexpr Milliseconds shed_after = 10'000;   // of an alarm
constexpr std::size_t fetched_max = 64;
constexpr std::size_t fetched_max_when_exhausted = 4;

}  // namespace

Vhost::Vhost(const Config& settings, Journal& log, Waker& wake, Time now, WallTime wall)
    : config(settings), journal(log), waker(wake), router(*this) {
    set_clock(now, wall);
    salt_ = static_cast<std::uint64_t>(wall.time_since_epoch().count());
    const auto declare = [&](std::string_view name, ExchangeType type) {
        add_exchange({.name = std::string(name), .type = type, .durable = true});
    };
    declare("", ExchangeType::direct);
    declare("amq.direct", ExchangeType::direct);
    declare("amq.fanout", ExchangeType::fanout);
    declare("amq.topic", ExchangeType::topic);
    declare("amq.headers", ExchangeType::headers);
    declare("amq.match", ExchangeType::headers);
}

Vhost::~Vhost() {
    HAVN_ASSERT(connections.empty(), "sessions end before the broker does");
}

void Vhost::set_now(Time now) {
    now_ = std::chrono::floor<milliseconds>(now.time_since_epoch()).count();
}

void Vhost::set_clock(Time now, WallTime wall) {
    set_now(now);
    wall_offset_ = wall.time_since_epoch() - milliseconds(now_);
}

// Unlike every other name of this process and, but for a clock set back to the nanosecond, of earlier ones.
std::string Vhost::unique_name(std::string_view prefix) {
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::uint64_t mixed[2] = {salt_, ++names_given};
    for (std::uint64_t& word : mixed) {  // splitmix64's finaliser: one to one, and no two look alike
        word += 0x9E3779B97F4A7C15u;
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
        word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
        word ^= word >> 31;
    }
    mixed[0] ^= mixed[1];
    std::string name(prefix);
    for (std::uint64_t word : mixed) {
        for (int i = 0; i < 11; ++i, word >>= 6) name.push_back(letters[word & 63]);
    }
    return name;
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
    const bool stored = spec.durable && !spec.name.empty() && !spec.name.starts_with("amq.");
    if (stored) journal.put(topology::exchange_key(spec.name), topology::exchange_value(spec));
    auto& slot = exchanges_[spec.name];
    slot = std::make_unique<Exchange>(std::move(spec));
    if (stored) slot->declared_at = journal.position();
    router.topology_changed();
    return *slot;
}

void Vhost::delete_exchange(Exchange& exchange) {
    exchange.deleted = true;
    const std::vector<Binding*> incoming = std::exchange(exchange.incoming, {});
    for (Binding* binding : incoming) remove_binding(*binding);
    while (exchange.has_bindings()) remove_binding(*exchange.bindings().begin()->second);
    if (exchange.spec().durable) journal.erase(topology::exchange_key(exchange.name()));
    exchanges_.erase(exchanges_.find(exchange.name()));
    router.topology_changed();
}

QueueId Vhost::next_queue_id() {
    if (next_id_ ==
        reserved_id_) {  // reserved in blocks, so that ids are never given twice nor written each time
        reserved_id_ += 1'000;
        journal.put(topology::next_id_key, topology::id_value(reserved_id_));
    }
    return QueueId{next_id_++};
}

QueueId Vhost::take_queue_id(const std::string& name) {
    const auto parked = parked_.find(name);
    if (parked == parked_.end() || parked->second == 0) return next_queue_id();
    const QueueId id{parked->second};
    parked_.erase(parked);
    return id;
}

Queue& Vhost::add_queue(QueueSpec spec, QueueArguments arguments) {
    const bool stored = spec.durable && !spec.owner;
    const QueueId id = stored ? take_queue_id(spec.name) : QueueId{0};
    if (stored) journal.put(topology::queue_key(spec.name), topology::queue_value(spec, id));
    Queue& queue = insert_queue(std::move(spec), std::move(arguments), id);
    if (stored) queue.declared_at = journal.position();
    queue.touch();
    return queue;
}

Queue& Vhost::insert_queue(QueueSpec spec, QueueArguments arguments, QueueId id) {
    Conversation* owner = spec.owner;
    auto& slot = queues_[spec.name];
    slot = std::make_unique<Queue>(*this, std::move(spec), std::move(arguments), id);
    if (slot->stored()) by_id_[static_cast<std::uint32_t>(id)] = slot.get();
    if (owner) owner->exclusive_queues.insert(slot.get());
    const auto policy = std::ranges::find(config.queues, slot->name(), &QueuePolicy::name);
    slot->set_policy(policy == config.queues.end() ? nullptr : &*policy);
    router.topology_changed();
    return *slot;
}

void Vhost::delete_queue(Queue& queue) {
    queue.deleted = true;
    if (Conversation* owner = queue.spec().owner) owner->exclusive_queues.erase(&queue);
    const std::vector<Binding*> incoming = std::exchange(queue.incoming, {});
    for (Binding* binding : incoming) remove_binding(*binding);
    const std::vector<Consumer*> consumers = queue.consumers();
    for (Consumer* consumer : consumers) consumer->channel->on_queue_deleted(*consumer);
    queue.purge();
    if (queue.stored()) {
        journal.erase(topology::queue_key(queue.name()));
        by_id_.erase(static_cast<std::uint32_t>(queue.id()));
    }
    set_due(queue, never);
    const auto found = queues_.find(queue.name());
    deleted_.push_back(std::move(found->second));
    queues_.erase(found);
    router.topology_changed();
    // The manifest says it is there: whoever deletes it empties it.
    if (is_promised(queue.name())) declare_policy_queue(queue.name());
}

Binding& Vhost::bind(Exchange& source, Queue* queue, Exchange* exchange, std::string_view key,
                     amqp::Table arguments) {
    const std::string identity = topology::binding_identity(
        queue != nullptr, queue ? queue->name() : exchange->name(), key, arguments);
    if (Binding* binding = source.find(identity)) return *binding;
    Binding& binding = insert_binding(source, identity, queue, exchange, key, arguments);
    if (source.spec().durable && (queue ? queue->stored() : exchange->spec().durable)) {
        journal.put(topology::binding_key(source.name(), identity), "");
        binding.declared_at = journal.position();
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
    router.topology_changed();
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
        journal.erase(topology::binding_key(source.name(), identity));
    }
    std::erase(queue ? queue->incoming : exchange->incoming, &binding);
    source.remove(identity);
    router.topology_changed();
    if (source.spec().auto_delete && !source.has_bindings() && !source.deleted) delete_exchange(source);
}

bool Vhost::enqueue(const Publication& publication, std::span<Queue* const> queues) {
    const MessagePtr message = MessagePtr::make(publication.parts);
    Journal::Placement placement;
    if (publication.persistent) {
        stored_in_.clear();
        for (const Queue* queue : queues) {
            if (queue->stored()) stored_in_.push_back(queue->id());
        }
        if (!stored_in_.empty()) placement = journal.append(*message, stored_in_, wall_milliseconds());
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
        hold(entry, message);
        ++entries_;
        queue->push(std::move(entry), publication.expiration);
    }
    return placement.first.stored();
}

// Content stays in memory while there is room. What is in the log can be read back; what is not must stay.
void Vhost::hold(Entry& entry, MessagePtr message) {
    if (entry.id.stored() && MessagePtr::bytes_in_memory() > config.memory_bytes_for_content) return;
    entry.message = std::move(message);
}

// A large message that is read back for one is kept while it is being sent, for others it goes to as well.
Result<MessagePtr> Vhost::content(const Entry& entry) {
    if (entry.message) return entry.message;
    const bool large = entry.size >= large_body_bytes;
    if (large) {
        for (const Fetched& known : fetched_) {
            if (known.id.segment == entry.id.segment && known.offset == entry.offset) return known.message;
        }
    }
    Result<MessagePtr> message = journal.read(entry.id, entry.offset);
    if (large && message && prune_fetched() < fetched_max) {
        fetched_.push_back({entry.id, entry.offset, *message});
    }
    return message;
}

std::size_t Vhost::prune_fetched() {
    std::erase_if(fetched_, [](const Fetched& known) { return known.message.is_only_reference(); });
    return fetched_.size();
}

bool Vhost::may_fetch_large() {
    return !memory_exhausted() || prune_fetched() < fetched_max_when_exhausted;
}

void Vhost::settle(Entry& entry) {
    if (entry.id.stored()) journal.settle(entry.id, entry.size);
    entry.message = {};
    --entries_;
}

std::uint64_t Vhost::memory_used() const {
    return memory.used() + MessagePtr::bytes_in_memory() + entries_ * entry_bytes +
           queues_.size() * queue_bytes;
}

// Called after whatever may have changed it: cheap while nothing changes.
void Vhost::check_memory() {
    const std::uint64_t used = memory_used(), limit = memory.limit();
    if (memory_alarm_ ? used < limit - limit / 4 : used > limit) {
        memory_alarm_ = !memory_alarm_;
        shed_at_ = memory_alarm_ ? now_ + shed_after : never;
        update_alarm();
    }
    if (!someone_starves || !may_fetch_large()) return;
    someone_starves = false;
    for (auto& [name, queue] : queues_) queue->on_credit();
    for (Conversation* connection : connections) connection->on_memory_relieved();
    run();
}

// Messages of which a part has come, and what clients that are not read leave unread, hold memory that nobody
// can free by consuming, while publishers are held back by the alarm. Where it is they that keep the alarm
// up, the largest holders lose their connections.
void Vhost::shed_stuck() {
    shed_at_ = now_ + shed_after;
    const std::uint64_t enough = memory.limit() - memory.limit() / 4;
    std::vector<Conversation*> holders(connections.begin(), connections.end());
    std::uint64_t stuck = 0, used = memory_used();
    for (const Conversation* connection : holders) stuck += connection->stuck_bytes();
    if (stuck == 0 || used - std::min(stuck, used) >= enough) return;
    std::ranges::sort(holders, std::greater(), &Conversation::stuck_bytes);
    for (Conversation* connection : holders) {
        const std::uint64_t bytes = connection->stuck_bytes();
        if (used < enough || bytes == 0) break;
        used -= std::min(used, bytes);
        connection->shed();
    }
    check_memory();
}

void Vhost::schedule(Queue& queue) {
    if (queue.scheduled || queue.deleted) return;
    queue.scheduled = true;
    scheduled_.push_back(&queue);
}

void Vhost::run() {
    // A turn may schedule others (dead letters), which then follow in the same run.
    for (std::size_t at = 0; at < scheduled_.size(); ++at) {
        Queue& queue = *scheduled_[at];
        queue.scheduled = false;
        if (!queue.deleted) queue.run();
    }
    scheduled_.clear();
    if (!fetched_.empty()) prune_fetched();
    if (!deleted_.empty()) bury();
}

void Vhost::bury() {
    std::erase_if(deleted_, [](const std::unique_ptr<Queue>& queue) { return queue->unacked_count() == 0; });
}

void Vhost::set_due(Queue& queue, Milliseconds due) {
    if (due == queue.due) return;
    // Later than registered: on_time() will look again. Only an earlier moment must be registered at once.
    if (due > queue.due && due != never) return;
    if (queue.due != never) timers_.erase({queue.due, &queue});
    queue.due = due;
    if (due != never) timers_.emplace(due, &queue);
}

Time Vhost::next_deadline() const {
    const Milliseconds next = std::min(shed_at_, timers_.empty() ? never : timers_.begin()->first);
    return next == never ? Time::max() : Time(milliseconds(next));
}

void Vhost::on_time() {
    while (!timers_.empty() && timers_.begin()->first <= now_) {
        Queue& queue = *timers_.begin()->second;
        timers_.erase(timers_.begin());
        queue.due = never;
        queue.on_due();
    }
    if (shed_at_ <= now_) shed_stuck();
    run();
    check_memory();
}

void Vhost::set_alarm(std::string_view reason) {
    disk_alarm_ = reason;
    update_alarm();
}

void Vhost::update_alarm() {
    alarm_ = !disk_alarm_.empty() ? disk_alarm_ : memory_alarm_ ? "the broker is low on memory" : "";
    for (Conversation* connection : connections) connection->on_alarm();
}

}  // namespace havn::broker
