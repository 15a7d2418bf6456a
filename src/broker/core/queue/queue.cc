#include "broker/core/queue/queue.h"

#include <algorithm>

#include "base/assert.h"
#include "broker/core/queue/dead_letter.h"
#include "broker/core/queue/vhost.h"
#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::broker {

namespace {

constexpr Milliseconds read_retry = 1'000;  // after the journal could not read a message

// Whether the content is gone for good. Every other error says nothing about the message: it is still owed.
bool is_lost(const Error& error) {
    return error.kind == Error::Kind::corrupt;
}

}  // namespace

Queue::Queue(Vhost& vhost, QueueSpec spec, QueueArguments arguments, QueueId id)
    : vhost_(vhost),
      spec_(std::move(spec)),
      arguments_(std::move(arguments)),
      id_(id),
      ready_(arguments_.max_priority),
      consumers_(arguments_.single_active_consumer),
      last_used_(vhost.clock().now()) {
    policy_.message_ttl = arguments_.message_ttl;
}

Milliseconds Queue::now() const {
    return vhost_.clock().now();
}

void Queue::schedule() {
    vhost_.scheduler().schedule(*this);
}

void Queue::set_policy(const QueuePolicy* policy) {
    policy_ = {.message_ttl = arguments_.message_ttl};
    if (!policy) return;
    if (policy->message_ttl) {
        policy_.message_ttl =
            std::min<Milliseconds>(policy_.message_ttl.value_or(never), policy->message_ttl->count());
    }
    policy_.max_attempts = policy->max_attempts;
    policy_.backoff_min = policy->backoff_min.count();
    policy_.backoff_max = policy->backoff_max.count();
}

bool Queue::is_full() const {
    const auto reaches = [](const std::optional<std::int64_t>& limit, std::uint64_t value) {
        return limit && value >= static_cast<std::uint64_t>(*limit);
    };
    return reaches(arguments_.max_length, ready_.count()) ||
           reaches(arguments_.max_length_bytes, ready_.bytes());
}

bool Queue::accepts_another(bool promised) {
    if (in_the_way && promised) return false;
    if (!arguments_.reject_publish) return true;
    if (is_full() && turn.scheduled) deliver_ready();
    return !is_full();
}

void Queue::push(Entry entry, std::optional<Milliseconds> message_ttl) {
    std::optional<Milliseconds> ttl = policy_.message_ttl;
    if (message_ttl) ttl = std::min(ttl.value_or(never), *message_ttl);
    if (ttl) entry.expires = std::min(never, now() + *ttl);
    ++tally_.published;
    ready_.push(std::move(entry));
    const bool limited = ttl || arguments_.max_length || arguments_.max_length_bytes;
    if (limited || (!consumers_.empty() && !waits_for_credit_)) schedule();
}

void Queue::recover(Entry entry, Milliseconds age) {
    if (policy_.message_ttl) {
        const Milliseconds expires = now() + *policy_.message_ttl - age;
        entry.expires = std::clamp<Milliseconds>(expires, 0, entry.expires);
    }
    entry.redelivered = 1;  // perhaps; nobody knows any more
    if (entry.expires != never) schedule();
    ready_.push(std::move(entry));
}

void Queue::note_returned(const Entry& entry) {
    --unacked_.count;
    unacked_.bytes -= entry.size;
}

void Queue::acknowledge(Entry& entry) {
    note_returned(entry);
    ++tally_.acknowledged;
    ++vhost_.counters().acknowledged;
    vhost_.store().settle(entry);
}

std::optional<Delivery> Queue::get(bool no_ack) {
    touch();
    drop_expired(now());
    while (!ready_.empty() && !blocked()) {
        const Result<MessagePtr> found = vhost_.store().content(ready_.front());
        if (!found && !is_lost(found.error())) {
            try_again_later();
            break;
        }
        if (!found) {
            settle_front();
            continue;
        }
        MessagePtr content = with_attempts(ready_.front(), *found);
        LanePlace place;
        Delivery delivery{ready_.take(place), place, std::move(content)};
        ++tally_.delivered;
        if (!no_ack) {
            ++unacked_.count;
            unacked_.bytes += delivery.entry.size;
        }
        return delivery;
    }
    return std::nullopt;
}

// Whether somebody goes by the number of failed attempts: a policy, a limit, or the client, who is told.
bool Queue::counts_attempts() const {
    return policy_.max_attempts != 0 || policy_.backoff_min > 0 || arguments_.quorum ||
           arguments_.delivery_limit;
}

void Queue::give_back(LanePlace place, Entry entry, Return how) {
    note_returned(entry);
    entry.redelivered = 1;
    if (deleted) return vhost_.store().settle(entry);
    if (how == Return::failed) {
        if (entry.failures < Entry::failures_max) ++entry.failures;
        if (counts_attempts() && entry.id.stored()) {
            vhost_.store().journal().note_attempts(entry.id, entry.failures);
        }
        if (policy_.max_attempts != 0 && entry.failures >= policy_.max_attempts) {
            return move_to_failed(place, std::move(entry));
        }
        if (arguments_.delivery_limit && entry.failures > *arguments_.delivery_limit) {
            if (!dead_letter_and_settle(entry, DeathReason::delivery_limit)) {
                delay(place, std::move(entry), read_retry);
            }
            return;
        }
        if (const Milliseconds wait = back_off(entry.failures); wait > 0) {
            return delay(place, std::move(entry), wait);
        }
    }
    ready_.put_back(place, std::move(entry));
    schedule();
}

Milliseconds Queue::back_off(std::uint64_t failures) const {
    if (policy_.backoff_min <= 0) return 0;
    const std::uint64_t doublings = std::min<std::uint64_t>(failures - 1, 30);
    return std::min(policy_.backoff_min << doublings, std::max(policy_.backoff_min, policy_.backoff_max));
}

void Queue::delay(LanePlace place, Entry entry, Milliseconds wait) {
    delayed_.add(now() + wait, place, std::move(entry));
    schedule();
}

// The journal cannot read just now: the queue keeps what it has, in order, and looks again after a while.
void Queue::try_again_later() {
    blocked_until_ = now() + read_retry;
    schedule();
}

void Queue::reject(LanePlace place, Entry entry) {
    note_returned(entry);
    if (deleted) return vhost_.store().settle(entry);
    if (dead_letter_and_settle(entry, DeathReason::rejected)) return;
    entry.redelivered = 1;
    delay(place, std::move(entry), read_retry);
}

// False: its content, which the dead letter needs, cannot be read now; the entry is as it was.
bool Queue::dead_letter_and_settle(Entry& entry, DeathReason reason) {
    if (arguments_.dead_letter_exchange &&
        !dead_letter(vhost_, *this, entry, reason, *arguments_.dead_letter_exchange,
                     arguments_.dead_letter_routing_key)) {
        return false;
    }
    if (reason == DeathReason::expired) ++vhost_.counters().expired;
    vhost_.store().settle(entry);
    return true;
}

// The last attempt that the policy allows has failed: the message goes where a person can look at it.
void Queue::move_to_failed(LanePlace place, Entry entry) {
    const std::string failed = name() + std::string(failed_suffix);
    vhost_.declare_policy_queue(failed);
    if (!dead_letter(vhost_, *this, entry, DeathReason::delivery_limit, "", failed)) {
        return delay(place, std::move(entry), read_retry);
    }
    vhost_.store().settle(entry);
}

std::uint64_t Queue::purge() {
    const std::uint64_t count = waiting_count();
    while (!ready_.empty()) {
        LanePlace place;
        Entry entry = ready_.take_eldest(place);
        vhost_.store().settle(entry);
    }
    while (delayed_.count() > 0) {
        auto [place, entry] = delayed_.take_first();
        vhost_.store().settle(entry);
    }
    return count;
}

void Queue::add_consumer(Consumer& consumer) {
    consumers_.add(consumer);
    touch();
    waits_for_credit_ = false;
    schedule();
}

void Queue::remove_consumer(Consumer& consumer) {
    consumers_.remove(consumer);
    touch();
    waits_for_credit_ = false;
    schedule();
    if (consumers_.empty() && spec_.auto_delete && consumers_.had_any() && !deleted) {
        vhost_.delete_queue(*this);
    }
}

void Queue::on_credit() {
    if (!waits_for_credit_) return;
    waits_for_credit_ = false;
    schedule();
}

// Where attempts are counted for the client, it is told how many there were.
MessagePtr Queue::with_attempts(const Entry& entry, const MessagePtr& message) const {
    const bool counts = arguments_.quorum || arguments_.delivery_limit;
    if (!counts || entry.failures == 0) return message;
    auto properties = amqp::parse_properties(message->properties());
    HAVN_ASSERT(properties, "properties were checked when the message was published");
    amqp::TableWriter headers;
    amqp::TableReader reader(properties->headers);
    while (const auto header = reader.next()) {
        if (header->name != "x-delivery-count") headers.value(header->name, header->value);
    }
    headers.integer("x-delivery-count", static_cast<std::int64_t>(entry.failures));
    properties->headers = headers.table();
    properties->flags |= amqp::Properties::has_headers;
    std::string encoded;
    amqp::append_properties(encoded, *properties);
    return MessagePtr::make({message->exchange(), message->routing_key(), encoded, message->body()});
}

void Queue::run() {
    end_back_offs();
    deliver_ready();
    drop_expired(now() + 1);
    drop_excess();
    vhost_.scheduler().set_due(*this, next_due());
}

void Queue::deliver_ready() {
    drop_expired(now());
    while (!ready_.empty() && !consumers_.empty() && !blocked()) {
        Consumer* consumer = consumers_.next();
        if (!consumer) {
            waits_for_credit_ = true;
            return;
        }
        const Entry& front = ready_.front();
        if (must_wait_for_memory(front)) return;
        const Result<MessagePtr> message = vhost_.store().content(front);
        if (!message && !is_lost(message.error())) return try_again_later();
        if (message) {
            deliver_front(*consumer, with_attempts(front, *message));
        } else {
            settle_front();
        }
        drop_expired(now());
    }
}

void Queue::deliver_front(Consumer& consumer, MessagePtr content) {
    LanePlace place;
    Delivery delivery{ready_.take(place), place, std::move(content)};
    ++tally_.delivered;
    if (consumer.settings().no_ack) {
        consumer.deliver(delivery);
        return vhost_.store().settle(delivery.entry);
    }
    ++unacked_.count;
    unacked_.bytes += delivery.entry.size;
    consumer.deliver(delivery);
}

void Queue::settle_front() {
    LanePlace place;
    Entry entry = ready_.take(place);
    vhost_.store().settle(entry);
}

bool Queue::must_wait_for_memory(const Entry& entry) {
    MessageStore& store = vhost_.store();
    if (entry.message || entry.size < large_body_bytes || store.may_fetch_large()) return false;
    waits_for_credit_ = true;
    store.somebody_waits_for_memory = true;
    return true;
}

// A time to live of 0 means: now or never. So delivery drops what expired before this millisecond, and the
// end of a turn what expires in it.
void Queue::drop_expired(Milliseconds before) {
    while (!ready_.empty() && !blocked() && ready_.front().expires < before) {
        LanePlace place;
        Entry entry = ready_.take(place);
        if (dead_letter_and_settle(entry, DeathReason::expired)) continue;
        ready_.put_back(place, std::move(entry));
        return try_again_later();
    }
}

void Queue::drop_excess() {
    if (arguments_.reject_publish) return;
    const auto excess = [&](const std::optional<std::int64_t>& limit, std::uint64_t value) {
        return limit && value > static_cast<std::uint64_t>(*limit);
    };
    while (!ready_.empty() && !blocked() &&
           (excess(arguments_.max_length, ready_.count()) ||
            excess(arguments_.max_length_bytes, ready_.bytes()))) {
        LanePlace place;
        Entry entry = ready_.take_eldest(place);
        if (dead_letter_and_settle(entry, DeathReason::maxlen)) continue;
        ready_.put_back(place, std::move(entry));
        return try_again_later();
    }
}

void Queue::end_back_offs() {
    while (delayed_.first_due() <= now()) {
        auto [place, entry] = delayed_.take_first();
        ready_.put_back(place, std::move(entry));
    }
}

void Queue::on_due() {
    if (turn.suspended) return;
    if (unused_too_long()) return vhost_.delete_queue(*this);
    run();
}

Milliseconds Queue::next_due() const {
    Milliseconds next = never;
    if (!ready_.empty()) next = blocked() ? blocked_until_ : ready_.front().expires;
    next = std::min(next, delayed_.first_due());
    if (arguments_.expires && consumers_.empty()) next = std::min(next, last_used_ + *arguments_.expires);
    return next;
}

bool Queue::unused_too_long() const {
    return arguments_.expires && consumers_.empty() && last_used_ + *arguments_.expires <= now();
}

void Queue::touch() {
    last_used_ = now();
    if (arguments_.expires) schedule();
}

std::string_view name(DeathReason reason) {
    switch (reason) {
        case DeathReason::rejected:
            return "rejected";
        case DeathReason::expired:
            return "expired";
        case DeathReason::maxlen:
            return "maxlen";
        case DeathReason::delivery_limit:
            return "delivery_limit";
    }
    return "rejected";
}

}  // namespace havn::broker
