// A channel: publishing, consuming, acknowledging, and the methods that change exchanges and queues.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/consumer.h"
#include "broker/core/fault.h"
#include "broker/core/queue.h"
#include "broker/core/unacked.h"
#include "wire/amqp/methods.h"
#include "wire/amqp/properties.h"

namespace havn::broker {

class Conversation;
class Vhost;
struct Publication;

inline constexpr std::string_view reply_to_name = "amq.rabbitmq.reply-to";  // direct reply-to

class Channel {
  public:
    Channel(Conversation& connection, std::uint16_t number);
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    ~Channel();

    std::uint16_t number() const { return number_; }

    // Frames.
    Outcome on_method(amqp::MethodId id, std::string_view arguments);
    Outcome on_header(std::string_view payload);
    Outcome on_body(std::string_view payload);
    amqp::MethodId current_method() const { return current_; }  // what a fault is blamed on
    void anchor();  // the bytes a begun publish refers to are about to go: keep copies

    // Gives everything back and stops; what stays is to wait for the client's close-ok.
    void close(Return how);
    bool closing = false;

    // For queues.
    bool can_take(const Consumer& consumer);
    void deliver(Consumer& consumer, const Entry& entry, const MessagePtr& message);
    void await_ack(Consumer& consumer, Entry entry, LanePlace place);
    void on_queue_deleted(Consumer& consumer);        // forgets the consumer and tells the client
    bool deliver_reply(const Message::Parts& reply);  // direct reply-to; false: no room, it is lost

    // For the connection.
    LogPosition waits_for() const { return confirms_.empty() ? 0 : confirms_.back().position; }
    bool send_confirms(LogPosition durable);  // whether some are left
    void end_batch();                         // of publishes: later ones are confirmed apart
    void feed_consumers();                    // there is room for deliveries again

  private:
    enum class Content { none, header, body };

    struct Confirm {
        std::uint64_t last = 0, count = 0;  // sequence numbers up to `last`, so many
        LogPosition position = 0;           // durable up to here: may go; 0 = nothing to wait for
    };

    template <class Method>
    Outcome call(Outcome (Channel::*handler)(const Method&), std::string_view arguments);
    template <class Method>
    void reply(bool nowait, const Method& method, LogPosition promised = 0);

    // channel.cc
    Outcome on_flow(const amqp::ChannelFlow& method);
    Outcome on_access(const amqp::AccessRequest& method);
    Outcome on_confirm_select(const amqp::ConfirmSelect& method);
    Outcome on_tx(amqp::MethodId id);

    // channel_publish.cc
    Outcome on_publish(const amqp::BasicPublish& method);
    Outcome complete_publish(std::string_view body);
    Outcome check_properties();
    Outcome publish_reply_address();
    bool publish_direct_reply(std::string_view body);
    bool drop_full_queues();
    void note_partial();
    void drop_body();
    void return_message(std::string_view body);
    void confirm(bool stored);
    void nack();

    // channel_consume.cc
    Outcome on_qos(const amqp::BasicQos& method);
    Outcome on_consume(const amqp::BasicConsume& method);
    Outcome consume_replies(const amqp::BasicConsume& method);
    Outcome on_cancel(const amqp::BasicCancel& method);
    Outcome on_get(const amqp::BasicGet& method);
    Outcome on_ack(const amqp::BasicAck& method);
    Outcome on_reject(const amqp::BasicReject& method);
    Outcome on_nack(const amqp::BasicNack& method);
    Outcome on_recover(const amqp::BasicRecover& method);
    Outcome on_recover_async(const amqp::BasicRecoverAsync& method);
    template <class Settle>
    Outcome settle(std::uint64_t tag, bool multiple, Settle&& how);
    Outcome negative(std::uint64_t tag, bool multiple, bool requeue);
    void release_credit(const Unacked& unacked);
    void return_all(Return how);
    void remove_consumer(Consumer& consumer);

    // channel_topology.cc
    Outcome on_exchange_declare(const amqp::ExchangeDeclare& method);
    Outcome on_exchange_delete(const amqp::ExchangeDelete& method);
    Outcome on_exchange_bind(const amqp::ExchangeBind& method);
    Outcome on_exchange_unbind(const amqp::ExchangeUnbind& method);
    Outcome on_queue_declare(const amqp::QueueDeclare& method);
    Outcome on_declare_reply_address(const amqp::QueueDeclare& method);
    Outcome declare_again(const amqp::QueueDeclare& method, Queue& queue);
    Outcome declare_new(const amqp::QueueDeclare& method, std::string name);
    Outcome on_queue_bind(const amqp::QueueBind& method);
    Outcome on_queue_unbind(const amqp::QueueUnbind& method);
    Outcome on_queue_purge(const amqp::QueuePurge& method);
    Outcome on_queue_delete(const amqp::QueueDelete& method);
    void declare_ok(bool nowait, const Queue& queue);
    std::expected<std::string, Fault> queue_name(std::string_view given) const;
    std::expected<Queue*, Fault> usable_queue(std::string_view given) const;  // there, and not another's
    std::expected<Exchange*, Fault> bindable_exchange(std::string_view name) const;

    Conversation& connection_;
    Vhost& vhost_;
    std::uint16_t number_;
    amqp::MethodId current_ = 0;
    LogPosition position_before_ = 0;  // of the log, when the present method began
    std::string last_queue_;           // declared on this channel: what an empty queue name means

    // The publish being received. Views refer to the present input, or after anchor() to the strings.
    Content content_ = Content::none;
    amqp::BasicPublish publish_;
    std::string_view raw_properties_;
    amqp::Properties properties_;
    std::string anchored_exchange_, anchored_key_, anchored_properties_;
    bool anchored_ = false;
    std::uint64_t body_size_ = 0;
    std::string body_;               // when it comes in several frames
    std::size_t partial_bytes_ = 0;  // of it, as the connection knows
    std::string rewritten_;          // properties with a direct reply address put in
    std::vector<Queue*> targets_;

    bool confirming_ = false;
    std::uint64_t sequence_ = 0;    // of the last publish
    std::deque<Confirm> confirms_;  // not sent yet
    bool batch_open_ = false;       // the last of confirms_ may take further publishes
    bool listed_ = false;           // with the connection, as having confirms

    NameMap<std::unique_ptr<Consumer>> consumers_;
    UnackedList unacked_;
    std::uint64_t last_tag_ = 0;
    bool deleting_ = false;                // a queue.delete is being carried out
    std::vector<std::string> cancelled_;   // by it, of the consumers of this channel
    std::uint32_t prefetch_ = 0;           // for consumers
    std::uint32_t channel_prefetch_ = 0;   // for all of them together
    std::uint32_t channel_unacked_ = 0;    // of consumers
    std::string reply_tag_, reply_token_;  // direct reply-to: consumer tag, and our address
    bool has_reply_consumer_ = false;
};

}  // namespace havn::broker
