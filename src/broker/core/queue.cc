#include "broker/core/queue.h"

#include <algorithm>

#include "base/assert.h"
#include "broker/core/channel.h"
#include "broker/core/dead_letter.h"
#include "broker/core/output.h"
#include "broker/core/vhost.h"
#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::broker {

static constexpr Milliseconds read_retry = 1'000;  // after the journal could not read a message

Queue::Queue(Vhost& vhost, QueueSpec spec, QueueArguments arguments, QueueId id)
    : vhost_(vhost),
      spec_(std::move(spec)),
      arguments_(std::move(arguments)),
      id_(id),
      ready_(arguments_.max_priority),
      last_used_(vhost.now()),
      message_ttl_(arguments_.message_ttl) {}

bool Queue::blocked() const {
    return blocked_until_ > vhost_.now();
}

void Queue::set_policy(const QueuePolicy* policy) {
    message_ttl_ = arguments_.message_ttl;
    max_attempts_ = 0;
    backoff_min_ = backoff_max_ = 0;
    if (!policy) return;
    if (policy->message_ttl) {
        message_ttl_ = std::min<Milliseconds>(message_ttl_.value_or(never), policy->message_ttl->count());
    }
    max_attempts_ = policy->max_attempts;
    backoff_min_ = policy->backoff_min.count();
    backoff_max_ = policy->backoff_max.count();
}

bool Queue::accepts_another(bool promised) {
    if (in_the_way && promised) return false;
    if (!arguments_.reject_publish) return true;
    const auto full = [&] {
        return (arguments_.max_length &&
                ready_.count() >= static_cast<std::uint64_t>(*arguments_.max_length)) ||
               (arguments_.max_length_bytes &&
                ready_.bytes() >= static_cast<std::uint64_t>(*arguments_.max_length_bytes));
    };
    if (full() && scheduled) deliver_ready();
    return !full();
}

void Queue::push(Entry entry, std::optional<Milliseconds> message_ttl) {
    std::optional<Milliseconds> ttl = message_ttl_;
    if (message_ttl) ttl = std::min(ttl.value_or(never), *message_ttl);
    if (ttl) entry.expires = std::min(never, vhost_.now() + *ttl);
    ++tally_.published;
    ready_.push(std::move(entry));
    const bool limited = ttl || arguments_.max_length || arguments_.max_length_bytes;
    if (limited || (!consumers_.empty() && !starved_)) vhost_.schedule(*this);
}

void Queue::recover(Entry entry, Milliseconds age) {
    if (message_ttl_) {
        const Milliseconds expires = vhost_.now() + *message_ttl_ - age;
        entry.expires = std::clamp<Milliseconds>(expires, 0, entry.expires);
    }
    entry.redelivered = 1;  // perhaps; nobody knows any more
    if (entry.expires != never) vhost_.schedule(*this);
    ready_.push(std::move(entry));
}

void Queue::settle(Entry& entry) {
    vhost_.settle(entry);
}

void Queue::acknowledge(Entry& entry) {
    --unacked_;
    unacked_bytes_ -= entry.size;
    ++tally_.acknowledged;
    ++vhost_.counters.acknowledged;
    settle(entry);
}

std::optional<Entry> Queue::get(LanePlace& place, bool no_ack, MessagePtr& content) {
    touch();
    drop_expired(vhost_.now());
    while (!ready_.empty() && !blocked()) {
        const Result<MessagePtr> found = vhost_.content(ready_.front());
        if (!found && !is_lost(found.error())) {
            try_again_later();
            break;
        }
        Entry entry = ready_.take(place);
        if (!found) {
            settle(entry);
            continue;
        }
        content = with_attempts(entry, *found);
        ++tally_.delivered;
        if (!no_ack) {
            ++unacked_;
            unacked_bytes_ += entry.size;
        }
        return entry;
    }
    return std::nullopt;
}

void Queue::give_back(LanePlace place, Entry entry, Return how) {
    --unacked_;
    unacked_bytes_ -= entry.size;
    entry.redelivered = 1;
    if (deleted) return settle(entry);
    if (how == Return::failed) {
        if (entry.failures < 4095) ++entry.failures;
        const bool counted = max_attempts_ != 0 || backoff_min_ > 0;
        if (counted && entry.id.stored()) vhost_.journal.note_attempts(entry.id, entry.failures);
        if (max_attempts_ != 0 && entry.failures >= max_attempts_) {
            return fail(place, std::move(entry));
        }
        if (arguments_.delivery_limit && entry.failures > *arguments_.delivery_limit) {
            if (!discard(entry, DeathReason::delivery_limit)) delay(place, std::move(entry), read_retry);
            return;
        }
        if (const Milliseconds wait = back_off(entry.failures); wait > 0) {
            return delay(place, std::move(entry), wait);
        }
    }
    ready_.put_back(place, std::move(entry));
    vhost_.schedule(*this);
}

Milliseconds Queue::back_off(std::uint64_t failures) const {
    if (backoff_min_ <= 0) return 0;
    const std::uint64_t doublings = std::min<std::uint64_t>(failures - 1, 30);
    return std::min(backoff_min_ << doublings, std::max(backoff_min_, backoff_max_));
}

void Queue::delay(LanePlace place, Entry entry, Milliseconds wait) {
    delayed_bytes_ += entry.size;
    delayed_.emplace(vhost_.now() + wait, Delayed{place, std::move(entry)});
    vhost_.schedule(*this);
}

// The journal cannot read just now: the queue keeps what it has, in order, and looks again after a while.
void Queue::try_again_later() {
    blocked_until_ = vhost_.now() + read_retry;
    vhost_.schedule(*this);
}

void Queue::reject(LanePlace place, Entry entry) {
    --unacked_;
    unacked_bytes_ -= entry.size;
    if (deleted) return settle(entry);
    if (discard(entry, DeathReason::rejected)) return;
    entry.redelivered = 1;
    delay(place, std::move(entry), read_retry);
}

// False: its content, which the dead letter needs, cannot be read now; the entry is as it was.
bool Queue::discard(Entry& entry, DeathReason reason) {
    if (arguments_.dead_letter_exchange &&
        !dead_letter(vhost_, *this, entry, reason, *arguments_.dead_letter_exchange,
                     arguments_.dead_letter_routing_key)) {
        return false;
    }
    if (reason == DeathReason::expired) ++vhost_.counters.expired;
    settle(entry);
    return true;
}

// The last attempt was in vain: out of the way, where a person can look at it.
void Queue::fail(LanePlace place, Entry entry) {
    const std::string failed = name() + std::string(failed_suffix);
    vhost_.declare_policy_queue(failed);
    if (!dead_letter(vhost_, *this, entry, DeathReason::delivery_limit, "", failed)) {
        return delay(place, std::move(entry), read_retry);
    }
    settle(entry);
}

std::uint64_t Queue::purge() {
    const std::uint64_t count = stored_count();
    while (!ready_.empty()) {
        LanePlace place;
        Entry entry = ready_.take_eldest(place);
        settle(entry);
    }
    for (auto& [due, delayed] : delayed_) settle(delayed.entry);
    delayed_.clear();
    delayed_bytes_ = 0;
    return count;
}

bool Queue::has_exclusive_consumer() const {
    return consumers_.size() == 1 && consumers_.front()->exclusive;
}

void Queue::add_consumer(Consumer& consumer) {
    const auto lower = std::ranges::find_if(
        consumers_, [&](const Consumer* other) { return other->priority < consumer.priority; });
    consumers_.insert(lower, &consumer);
    if (!active_) active_ = &consumer;
    had_consumers_ = true;
    touch();
    feed();
}

void Queue::remove_consumer(Consumer& consumer) {
    std::erase(consumers_, &consumer);
    if (active_ == &consumer) active_ = consumers_.empty() ? nullptr : consumers_.front();
    touch();
    feed();
    if (consumers_.empty() && spec_.auto_delete && had_consumers_ && !deleted) vhost_.delete_queue(*this);
}

void Queue::feed() {
    starved_ = false;
    vhost_.schedule(*this);
}

void Queue::on_credit() {
    if (starved_) feed();
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

// Round robin among those of the highest priority that have credit.
Consumer* Queue::next_consumer() {
    if (arguments_.single_active_consumer) {
        return active_ && active_->channel->can_take(*active_) ? active_ : nullptr;
    }
    const auto found = std::ranges::find_if(consumers_, [](Consumer* c) { return c->channel->can_take(*c); });
    if (found == consumers_.end()) return nullptr;
    Consumer* consumer = *found;
    const auto group_end = std::find_if(
        found, consumers_.end(), [&](const Consumer* other) { return other->priority < consumer->priority; });
    std::rotate(found, found + 1, group_end);
    return consumer;
}

void Queue::run() {
    end_back_offs();
    deliver_ready();
    drop_expired(vhost_.now() + 1);
    drop_excess();
    vhost_.set_due(*this, next_due());
}

void Queue::deliver_ready() {
    drop_expired(vhost_.now());
    while (!ready_.empty() && !consumers_.empty() && !blocked()) {
        Consumer* consumer = next_consumer();
        if (!consumer) {
            starved_ = true;
            return;
        }
        if (must_wait_for_memory(ready_.front())) return;
        const Result<MessagePtr> message = vhost_.content(ready_.front());
        if (!message && !is_lost(message.error())) return try_again_later();
        LanePlace place;
        Entry entry = ready_.take(place);
        if (!message) {
            settle(entry);
        } else {
            ++tally_.delivered;
            consumer->channel->deliver(*consumer, entry, with_attempts(entry, *message));
            if (consumer->no_ack) {
                settle(entry);
            } else {
                ++unacked_;
                unacked_bytes_ += entry.size;
                consumer->channel->await_ack(*consumer, std::move(entry), place);
            }
        }
        drop_expired(vhost_.now());
    }
}

bool Queue::must_wait_for_memory(const Entry& entry) {
    if (entry.message || entry.size < large_body_bytes || vhost_.may_fetch_large()) return false;
    starved_ = true;
    vhost_.someone_starves = true;
    return true;
}

// A time to live of 0 means: now or never. So delivery drops what expired before this millisecond, and the
// end of a turn what expires in it.
void Queue::drop_expired(Milliseconds before) {
    while (!ready_.empty() && !blocked() && ready_.front().expires < before) {
        LanePlace place;
        Entry entry = ready_.take(place);
        if (discard(entry, DeathReason::expired)) continue;
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
        if (discard(entry, DeathReason::maxlen)) continue;
        ready_.put_back(place, std::move(entry));
        return try_again_later();
    }
}

void Queue::end_back_offs() {
    while (!delayed_.empty() && delayed_.begin()->first <= vhost_.now()) {
        Delayed delayed = std::move(delayed_.begin()->second);
        delayed_.erase(delayed_.begin());
        delayed_bytes_ -= delayed.entry.size;
        ready_.put_back(delayed.place, std::move(delayed.entry));
    }
}

void Queue::on_due() {
    if (unused_too_long()) return vhost_.delete_queue(*this);
    run();
}

Milliseconds Queue::next_due() const {
    Milliseconds next = never;
    if (!ready_.empty()) next = blocked() ? blocked_until_ : ready_.front().expires;
    if (!delayed_.empty()) next = std::min(next, delayed_.begin()->first);
    if (arguments_.expires && consumers_.empty()) next = std::min(next, last_used_ + *arguments_.expires);
    return next;
}

bool Queue::unused_too_long() const {
    return arguments_.expires && consumers_.empty() && last_used_ + *arguments_.expires <= vhost_.now();
}

void Queue::touch() {
    last_used_ = vhost_.now();
    if (arguments_.expires) vhost_.schedule(*this);
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
