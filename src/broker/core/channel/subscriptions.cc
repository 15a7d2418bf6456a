#include "broker/core/channel/subscriptions.h"

#include <algorithm>
#include <set>
#include <utility>

#include "wire/amqp/table.h"

namespace havn::broker {

using namespace amqp;

namespace {

Outcome unknown_tag(std::uint64_t tag) {
    return refuse(ReplyCode::precondition_failed, "unknown delivery tag {}", tag);
}

std::int32_t priority_of(Table arguments) {
    const auto priority = find(arguments, "x-priority");
    if (!priority) return 0;
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(priority->integer().value_or(0), INT32_MIN, INT32_MAX));
}

}  // namespace

void Subscriptions::deliver(Subscription& subscription, Delivery& delivery) {
    const Message& message = *delivery.content;
    const bool redelivered = delivery.entry.redelivered != 0;
    const BasicDeliver method{std::string_view(subscription.tag), ++last_tag_, redelivered,
                              message.exchange(), message.routing_key()};
    if (message.body().size() >= large_body_bytes || !context_.out.fits(message)) {
        context_.out.send_content(context_.number, method, delivery.content);
    } else {
        const std::size_t head = method_frame_size(method);
        const std::uint32_t frame_max = context_.out.frame_max();
        const std::size_t content =
            content_size(message.properties().size(), message.body().size(), frame_max);
        char* to = context_.out.extend(head + content);
        to = store_method_frame(to, context_.number, method, head);
        store_content(to, context_.number, message.properties(), message.body(), frame_max);
    }
    ++context_.broker.counters.delivered;
    context_.broker.counters.redelivered += redelivered;
    if (subscription.settings().no_ack) return;
    ++subscription.unacked;
    ++channel_unacked_;
    unacked_.push({last_tag_, &subscription.queue, &subscription, delivery.place, std::move(delivery.entry)});
}

void Subscriptions::on_queue_deleted(Subscription& subscription) {
    if (context_.terms.wants_cancel_notice) {
        if (collecting_) {
            cancelled_.push_back(subscription.tag);
        } else {
            context_.send(BasicCancel{std::string_view(subscription.tag), true});
        }
    }
    remove(subscription);
}

std::vector<std::string> Subscriptions::take_cancelled() {
    collecting_ = false;
    return std::exchange(cancelled_, {});
}

void Subscriptions::remove(Subscription& subscription) {
    const auto owned = subscriptions_.extract(subscription.tag);  // lives to the end of this function
    unacked_.forget(subscription);
    channel_unacked_ -= std::min(channel_unacked_, subscription.unacked);
    subscription.queue.remove_consumer(subscription);
}

void Subscriptions::offer_credit() {
    for (auto& [tag, subscription] : subscriptions_) subscription->queue.on_credit();
}

// A limit holds for subscriptions to come and for those that are there: clients such as Celery change it
// while they consume, and expect it to be felt.
Outcome Subscriptions::on_qos(const BasicQos& method) {
    if (method.prefetch_size != 0) {
        return refuse(ReplyCode::not_implemented, "prefetch_size!=0 ({})", method.prefetch_size);
    }
    if (method.global) {
        channel_prefetch_ = method.prefetch_count;
    } else {
        prefetch_ = method.prefetch_count;
        for (auto& [tag, subscription] : subscriptions_) subscription->prefetch = prefetch_;
    }
    context_.send(BasicQosOk{});
    offer_credit();
    return {};
}

bool Subscriptions::is_in_use(std::string_view tag) const {
    return subscriptions_.contains(tag) || replies_.is(tag);
}

Outcome Subscriptions::on_consume(const BasicConsume& method) {
    std::string tag = method.consumer_tag.empty() ? context_.broker.names.next("amq.ctag-")
                                                  : std::string(method.consumer_tag);
    if (method.queue == reply_to_name) return consume_replies(method, std::move(tag));
    const std::expected<Queue*, Fault> found = lookup_.find(method.queue);
    if (!found) return std::unexpected(found.error());
    Queue& queue = **found;
    if (is_in_use(tag)) return refuse(ReplyCode::not_allowed, "attempt to reuse consumer tag '{}'", tag);
    if (queue.consumers().has_exclusive() || (method.exclusive && !queue.consumers().empty())) {
        return refuse(ReplyCode::access_refused, "queue '{}' in vhost '{}' in exclusive use", queue.name(),
                      context_.vhost.name());
    }
    auto subscription = std::make_unique<Subscription>(
        *this, tag, queue,
        Consumer::Settings{method.no_ack, method.exclusive, priority_of(method.arguments)});
    subscription->prefetch = prefetch_;
    if (!method.nowait) context_.send(BasicConsumeOk{std::string_view(tag)});
    queue.add_consumer(*subscriptions_.emplace(std::move(tag), std::move(subscription)).first->second);
    return {};
}

Outcome Subscriptions::consume_replies(const BasicConsume& method, std::string tag) {
    if (subscriptions_.contains(tag)) {
        return refuse(ReplyCode::not_allowed, "attempt to reuse consumer tag '{}'", tag);
    }
    return replies_.start(std::move(tag), method);
}

Outcome Subscriptions::on_cancel(const BasicCancel& method) {
    if (replies_.is(method.consumer_tag)) {
        replies_.cancel();
    } else if (const auto found = subscriptions_.find(method.consumer_tag); found != subscriptions_.end()) {
        remove(*found->second);
    }
    if (!method.nowait) context_.send(BasicCancelOk{method.consumer_tag});
    return {};
}

Outcome Subscriptions::on_get(const BasicGet& method) {
    const std::expected<Queue*, Fault> found = lookup_.find(method.queue);
    if (!found) return std::unexpected(found.error());
    Queue& queue = **found;
    std::optional<Delivery> delivery = queue.get(method.no_ack);
    if (!delivery) {
        context_.send(BasicGetEmpty{});
        return {};
    }
    const bool redelivered = delivery->entry.redelivered != 0;
    const BasicGetOk reply{++last_tag_, redelivered, delivery->content->exchange(),
                           delivery->content->routing_key(), static_cast<Long>(queue.ready_count())};
    context_.out.send_content(context_.number, reply, delivery->content);
    ++context_.broker.counters.delivered;
    context_.broker.counters.redelivered += redelivered;
    if (method.no_ack) {
        context_.broker.store.settle(delivery->entry);
    } else {
        unacked_.push({last_tag_, &queue, nullptr, delivery->place, std::move(delivery->entry)});
    }
    return {};
}

void Subscriptions::release_credit(const Unacked& unacked) {
    Subscription* subscription = unacked.subscription;
    if (!subscription) return;
    --subscription->unacked;
    --channel_unacked_;
    if (channel_prefetch_ != 0) {
        offer_credit();
    } else {
        subscription->queue.on_credit();
    }
}

// Calls how(unacked) for the delivery of that tag, or all up to it; tag 0 with `multiple` means all there
// are.
template <class Settle>
Outcome Subscriptions::settle(std::uint64_t tag, bool multiple, Settle&& how) {
    if (!multiple) {
        std::optional<Unacked> unacked = unacked_.take(tag);
        if (!unacked) return unknown_tag(tag);
        release_credit(*unacked);
        how(*unacked);
        return {};
    }
    bool any = tag == 0;
    if (tag > last_tag_) return unknown_tag(tag);
    while (std::optional<Unacked> unacked = unacked_.take_first(tag == 0 ? UINT64_MAX : tag)) {
        any = true;
        release_credit(*unacked);
        how(*unacked);
    }
    return any ? Outcome{} : unknown_tag(tag);
}

Outcome Subscriptions::on_ack(const BasicAck& method) {
    return settle(method.delivery_tag, method.multiple,
                  [](Unacked& unacked) { unacked.queue->acknowledge(unacked.entry); });
}

Outcome Subscriptions::return_deliveries(std::uint64_t tag, bool multiple, bool requeue) {
    return settle(tag, multiple, [requeue](Unacked& unacked) {
        if (requeue) {
            unacked.queue->give_back(unacked.place, std::move(unacked.entry), Return::failed);
        } else {
            unacked.queue->reject(unacked.place, std::move(unacked.entry));
        }
    });
}

Outcome Subscriptions::on_nack(const BasicNack& method) {
    return return_deliveries(method.delivery_tag, method.multiple, method.requeue);
}

Outcome Subscriptions::on_reject(const BasicReject& method) {
    return return_deliveries(method.delivery_tag, false, method.requeue);
}

// When a client is lost, only what it was working on has failed: the eldest delivery of each subscription,
// and the eldest of those it got otherwise. The others had merely been sent ahead (docs/decisions/0005).
void Subscriptions::return_all(Return how) {
    std::set<const Subscription*> worked;
    while (std::optional<Unacked> unacked = unacked_.take_first(UINT64_MAX)) {
        const bool failed = how == Return::failed && worked.insert(unacked->subscription).second;
        release_credit(*unacked);
        unacked->queue->give_back(unacked->place, std::move(unacked->entry),
                                  failed ? Return::failed : Return::undone);
    }
}

Outcome Subscriptions::on_recover(const BasicRecover& method) {
    if (!method.requeue) return refuse(ReplyCode::not_implemented, "requeue=false");
    return_all(Return::undone);
    context_.send(BasicRecoverOk{});
    return {};
}

Outcome Subscriptions::on_recover_async(const BasicRecoverAsync& method) {
    if (!method.requeue) return refuse(ReplyCode::not_implemented, "requeue=false");
    return_all(Return::undone);
    return {};
}

void Subscriptions::close(Return how) {
    replies_.close();
    return_all(how);
    while (!subscriptions_.empty()) remove(*subscriptions_.begin()->second);
}

}  // namespace havn::broker
