// Channel: basic.consume and get, deliveries, and what becomes of them.
#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "broker/core/channel.h"
#include "broker/core/conversation.h"
#include "broker/core/vhost.h"
#include "wire/amqp/table.h"

namespace havn::broker {

using namespace amqp;

namespace {

Outcome unknown_tag(std::uint64_t tag) {
    return refuse(ReplyCode::precondition_failed, "unknown delivery tag {}", tag);
}

}  // namespace

bool Channel::can_take(const Consumer& consumer) {
    if (!consumer.no_ack) {
        if (consumer.prefetch != 0 && consumer.unacked >= consumer.prefetch) return false;
        if (channel_prefetch_ != 0 && channel_unacked_ >= channel_prefetch_) return false;
    }
    return connection_.has_room();
}

void Channel::deliver(Consumer& consumer, const Entry& entry, const MessagePtr& message) {
    const BasicDeliver method{std::string_view(consumer.tag), ++last_tag_, entry.redelivered != 0,
                              message->exchange(), message->routing_key()};
    if (message->body().size() >= large_body_bytes || !connection_.fits(*message)) {
        connection_.send_content(number_, method, message);
    } else {
        const std::size_t head = method_frame_size(method);
        const std::uint32_t frame_max = connection_.frame_max();
        const std::size_t content =
            content_size(message->properties().size(), message->body().size(), frame_max);
        char* to = connection_.extend_out(head + content);
        to = store_method_frame(to, number_, method, head);
        store_content(to, number_, message->properties(), message->body(), frame_max);
    }
    ++vhost_.counters.delivered;
    vhost_.counters.redelivered += entry.redelivered;
}

void Channel::await_ack(Consumer& consumer, Entry entry, LanePlace place) {
    ++consumer.unacked;
    ++channel_unacked_;
    unacked_.push({last_tag_, consumer.queue, &consumer, place, std::move(entry)});
}

// To a client that does not read, a reply is lost, as it is to one that has gone.
bool Channel::deliver_reply(const Message::Parts& reply) {
    if (!connection_.takes_replies()) return false;
    const BasicDeliver method{std::string_view(reply_tag_), ++last_tag_, false, reply.exchange,
                              reply.routing_key};
    connection_.send_content(number_, method, MessagePtr::make(reply));
    ++vhost_.counters.delivered;
    return true;
}

void Channel::on_queue_deleted(Consumer& consumer) {
    if (deleting_ && connection_.wants_cancel_notice()) {
        cancelled_.push_back(consumer.tag);
    } else if (connection_.wants_cancel_notice()) {
        connection_.send(number_, BasicCancel{std::string_view(consumer.tag), true});
    }
    remove_consumer(consumer);
}

void Channel::remove_consumer(Consumer& consumer) {
    const auto owned = consumers_.extract(consumer.tag);  // lives to the end of this function
    unacked_.forget(consumer);
    channel_unacked_ -= std::min(channel_unacked_, consumer.unacked);
    consumer.queue->remove_consumer(consumer);
}

// A limit holds for consumers to come and for those that are there: clients such as Celery change it while
// they consume, and expect it to be felt.
Outcome Channel::on_qos(const BasicQos& method) {
    if (method.prefetch_size != 0) {
        return refuse(ReplyCode::not_implemented, "prefetch_size!=0 ({})", method.prefetch_size);
    }
    if (method.global) {
        channel_prefetch_ = method.prefetch_count;
    } else {
        prefetch_ = method.prefetch_count;
        for (auto& [tag, consumer] : consumers_) consumer->prefetch = prefetch_;
    }
    connection_.send(number_, BasicQosOk{});
    feed_consumers();
    return {};
}

Outcome Channel::on_consume(const BasicConsume& method) {
    if (method.queue == reply_to_name) return consume_replies(method);
    const auto queue = usable_queue(method.queue);
    if (!queue) return std::unexpected(queue.error());
    const std::string tag =
        method.consumer_tag.empty() ? vhost_.unique_name("amq.ctag-") : std::string(method.consumer_tag);
    if (consumers_.contains(tag) || (has_reply_consumer_ && tag == reply_tag_)) {
        return refuse(ReplyCode::not_allowed, "attempt to reuse consumer tag '{}'", tag);
    }
    if ((*queue)->has_exclusive_consumer() || (method.exclusive && !(*queue)->consumers().empty())) {
        return refuse(ReplyCode::access_refused, "queue '{}' in vhost '/' in exclusive use",
                      (*queue)->name());
    }
    auto consumer = std::make_unique<Consumer>(Consumer{.tag = tag,
                                                        .channel = this,
                                                        .queue = *queue,
                                                        .no_ack = method.no_ack,
                                                        .exclusive = method.exclusive,
                                                        .prefetch = prefetch_});
    if (const auto priority = find(method.arguments, "x-priority")) {
        consumer->priority = static_cast<std::int32_t>(
            std::clamp<std::int64_t>(priority->integer().value_or(0), INT32_MIN, INT32_MAX));
    }
    if (!method.nowait) connection_.send(number_, BasicConsumeOk{std::string_view(tag)});
    Consumer& added = *consumers_.emplace(tag, std::move(consumer)).first->second;
    (*queue)->add_consumer(added);
    return {};
}

Outcome Channel::consume_replies(const BasicConsume& method) {
    if (!method.no_ack) {
        return refuse(ReplyCode::precondition_failed, "reply consumer cannot acknowledge");
    }
    if (has_reply_consumer_) return refuse(ReplyCode::precondition_failed, "reply consumer already set");
    reply_tag_ =
        method.consumer_tag.empty() ? vhost_.unique_name("amq.ctag-") : std::string(method.consumer_tag);
    if (consumers_.contains(reply_tag_)) {
        return refuse(ReplyCode::not_allowed, "attempt to reuse consumer tag '{}'", reply_tag_);
    }
    if (reply_token_.empty()) reply_token_ = vhost_.unique_name("");
    vhost_.reply_channels[reply_token_] = this;
    has_reply_consumer_ = true;
    if (!method.nowait) connection_.send(number_, BasicConsumeOk{std::string_view(reply_tag_)});
    return {};
}

Outcome Channel::on_cancel(const BasicCancel& method) {
    if (has_reply_consumer_ && method.consumer_tag == reply_tag_) {
        vhost_.reply_channels.erase(reply_token_);
        has_reply_consumer_ = false;
    } else if (const auto found = consumers_.find(method.consumer_tag); found != consumers_.end()) {
        remove_consumer(*found->second);
    }
    if (!method.nowait) connection_.send(number_, BasicCancelOk{method.consumer_tag});
    return {};
}

Outcome Channel::on_get(const BasicGet& method) {
    const auto found = usable_queue(method.queue);
    if (!found) return std::unexpected(found.error());
    Queue& queue = **found;
    LanePlace place;
    MessagePtr content;
    auto entry = queue.get(place, method.no_ack, content);
    if (!entry) {
        connection_.send(number_, BasicGetEmpty{});
        return {};
    }
    const BasicGetOk reply{++last_tag_, entry->redelivered != 0, content->exchange(), content->routing_key(),
                           static_cast<Long>(queue.ready_count())};
    connection_.send_content(number_, reply, content);
    ++vhost_.counters.delivered;
    vhost_.counters.redelivered += entry->redelivered;
    if (method.no_ack) {
        vhost_.settle(*entry);
    } else {
        unacked_.push({last_tag_, &queue, nullptr, place, std::move(*entry)});
    }
    return {};
}

void Channel::release_credit(const Unacked& unacked) {
    if (Consumer* consumer = unacked.consumer) {
        --consumer->unacked;
        --channel_unacked_;
        if (channel_prefetch_ != 0) {
            feed_consumers();
        } else {
            consumer->queue->on_credit();
        }
    }
}

// Calls how(unacked) for the delivery of that tag, or all up to it; tag 0 with `multiple` means all there
// are.
template <class Settle>
Outcome Channel::settle(std::uint64_t tag, bool multiple, Settle&& how) {
    if (!multiple) {
        auto unacked = unacked_.take(tag);
        if (!unacked) return unknown_tag(tag);
        release_credit(*unacked);
        how(*unacked);
        return {};
    }
    bool any = tag == 0;
    if (tag > last_tag_) return unknown_tag(tag);
    while (auto unacked = unacked_.take_first(tag == 0 ? UINT64_MAX : tag)) {
        any = true;
        release_credit(*unacked);
        how(*unacked);
    }
    return any ? Outcome{} : unknown_tag(tag);
}

Outcome Channel::on_ack(const BasicAck& method) {
    return settle(method.delivery_tag, method.multiple,
                  [](Unacked& unacked) { unacked.queue->acknowledge(unacked.entry); });
}

Outcome Channel::negative(std::uint64_t tag, bool multiple, bool requeue) {
    return settle(tag, multiple, [requeue](Unacked& unacked) {
        if (requeue) {
            unacked.queue->give_back(unacked.place, std::move(unacked.entry), Return::failed);
        } else {
            unacked.queue->reject(unacked.place, std::move(unacked.entry));
        }
    });
}

Outcome Channel::on_nack(const BasicNack& method) {
    return negative(method.delivery_tag, method.multiple, method.requeue);
}

Outcome Channel::on_reject(const BasicReject& method) {
    return negative(method.delivery_tag, false, method.requeue);
}

// When a client is lost, only what it was working on has failed: the eldest delivery of each consumer, and
// the eldest of those it got otherwise. The others had merely been sent ahead (docs/decisions/0005).
void Channel::return_all(Return how) {
    std::set<const Consumer*> worked;
    while (auto unacked = unacked_.take_first(UINT64_MAX)) {
        const Consumer* consumer = unacked->consumer;
        const bool failed = how == Return::failed && worked.insert(consumer).second;
        release_credit(*unacked);
        unacked->queue->give_back(unacked->place, std::move(unacked->entry),
                                  failed ? Return::failed : Return::undone);
    }
}

Outcome Channel::on_recover(const BasicRecover& method) {
    if (!method.requeue) return refuse(ReplyCode::not_implemented, "requeue=false");
    return_all(Return::undone);
    connection_.send(number_, BasicRecoverOk{});
    return {};
}

Outcome Channel::on_recover_async(const BasicRecoverAsync& method) {
    if (!method.requeue) return refuse(ReplyCode::not_implemented, "requeue=false");
    return_all(Return::undone);
    return {};
}

}  // namespace havn::broker
