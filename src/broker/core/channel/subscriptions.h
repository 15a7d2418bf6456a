// What a channel consumes: its subscriptions, their credit, and the deliveries that wait for an
// acknowledgement.
//
// Belongs to its channel. Owns the subscriptions and the entries of what it was given; both are given back by
// close().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/name_map.h"
#include "broker/core/channel/channel_context.h"
#include "broker/core/channel/queue_lookup.h"
#include "broker/core/channel/reply_consumer.h"
#include "broker/core/channel/subscription.h"
#include "broker/core/channel/unacked_list.h"

namespace havn::broker {

class Subscriptions {
  public:
    Subscriptions(const ChannelContext& context, const QueueLookup& lookup)
        : context_(context), lookup_(lookup), replies_(context, last_tag_) {}
    Subscriptions(const Subscriptions&) = delete;
    Subscriptions& operator=(const Subscriptions&) = delete;

    Outcome on_qos(const amqp::BasicQos& method);
    Outcome on_consume(const amqp::BasicConsume& method);
    Outcome on_cancel(const amqp::BasicCancel& method);
    Outcome on_get(const amqp::BasicGet& method);
    Outcome on_ack(const amqp::BasicAck& method);
    Outcome on_reject(const amqp::BasicReject& method);
    Outcome on_nack(const amqp::BasicNack& method);
    Outcome on_recover(const amqp::BasicRecover& method);
    Outcome on_recover_async(const amqp::BasicRecoverAsync& method);

    // For its subscriptions.
    bool has_credit(const Subscription& subscription) {
        if (!subscription.settings().no_ack) {
            if (subscription.prefetch != 0 && subscription.unacked >= subscription.prefetch) return false;
            if (channel_prefetch_ != 0 && channel_unacked_ >= channel_prefetch_) return false;
        }
        return context_.out.has_room();
    }
    void deliver(Subscription& subscription, Delivery& delivery);
    void on_queue_deleted(Subscription& subscription);  // forgets it and tells the client

    // While a queue.delete of this channel is carried out, the tags of its own subscriptions are collected,
    // so that they are told after the answer.
    void collect_cancelled() { collecting_ = true; }
    std::vector<std::string> take_cancelled();

    void on_room() { offer_credit(); }  // there is room for deliveries again
    void close(Return how);
    ReplyConsumer& replies() { return replies_; }

  private:
    Outcome consume_replies(const amqp::BasicConsume& method, std::string tag);
    bool is_in_use(std::string_view tag) const;
    void offer_credit();
    void release_credit(const Unacked& unacked);
    template <class Settle>
    Outcome settle(std::uint64_t tag, bool multiple, Settle&& how);
    Outcome return_deliveries(std::uint64_t tag, bool multiple, bool requeue);
    void return_all(Return how);
    void remove(Subscription& subscription);

    const ChannelContext& context_;
    const QueueLookup& lookup_;
    NameMap<std::unique_ptr<Subscription>> subscriptions_;  // by tag
    UnackedList unacked_;
    std::uint64_t last_tag_ = 0;  // of deliveries
    ReplyConsumer replies_;
    std::uint32_t prefetch_ = 0;          // for each subscription
    std::uint32_t channel_prefetch_ = 0;  // for all of them together
    std::uint32_t channel_unacked_ = 0;   // of subscriptions
    bool collecting_ = false;
    std::vector<std::string> cancelled_;
};

}  // namespace havn::broker
