// A queue: what waits, who consumes, and what happens to a message that nobody took in time.
//
// Work is done in turns: changes mark the queue with the vhost (`Vhost::schedule`), and its turn delivers,
// expires and trims. So no method here calls back into a channel except through run().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/arguments.h"
#include "broker/core/consumer.h"
#include "broker/core/exchange.h"
#include "broker/core/message/backlog.h"
#include "broker/core/message/delivery_id.h"
#include "broker/core/message/message.h"
#include "contract/broker.h"

namespace havn::broker {

class Conversation;
class Vhost;

struct QueueSpec {
    std::string name{};
    bool durable = false, auto_delete = false;
    Conversation* owner = nullptr;  // exclusive to it
    std::string arguments{};        // a field table's bytes
};

// Why a message was dead-lettered, as x-death says it.
enum class DeathReason : std::uint8_t { rejected, expired, maxlen, delivery_limit };
std::string_view name(DeathReason reason);

// How a delivery came back: with an attempt failed (nack, lost connection) or merely undone (channel closed).
enum class Return : std::uint8_t { failed, undone };

class Queue {
  public:
    Queue(Vhost& vhost, QueueSpec spec, QueueArguments arguments, QueueId id);
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    const QueueSpec& spec() const { return spec_; }
    const std::string& name() const { return spec_.name; }
    const QueueArguments& arguments() const { return arguments_; }
    QueueId id() const { return id_; }                             // meaningful if stored()
    bool stored() const { return spec_.durable && !spec_.owner; }  // outlives the process
    bool stays() const { return stored() && !spec_.auto_delete; }  // whatever its clients do
    void stay() { spec_.auto_delete = false; }

    // Messages.
    bool accepts_another(bool promised);  // false: at its limit and told to refuse, or see in_the_way
    void push(Entry entry, std::optional<Milliseconds> message_ttl);
    void recover(Entry entry, Milliseconds age);  // as found in the log, published so long ago
    std::optional<Entry> get(LanePlace& place, bool no_ack, MessagePtr& content);
    void acknowledge(Entry& entry);
    void give_back(LanePlace place, Entry entry, Return how);
    void reject(LanePlace place, Entry entry);
    std::uint64_t purge();  // of those not with a consumer; how many

    // Consumers.
    bool has_exclusive_consumer() const;
    void add_consumer(Consumer& consumer);
    void remove_consumer(Consumer& consumer);
    void feed();       // there may be a consumer to deliver to now
    void on_credit();  // one of the consumers may take more than before

    // One turn: deliver what consumers have credit for, drop what is too old or too much.
    void run();
    void on_due();  // the moment registered with the vhost has come
    Milliseconds next_due() const;
    bool unused_too_long() const;  // x-expires
    void touch();                  // resets x-expires

    void set_policy(const QueuePolicy* policy);  // null: none

    std::uint64_t ready_count() const { return ready_.count(); }
    std::uint64_t stored_count() const { return ready_.count() + delayed_.size(); }
    std::uint64_t unacked_count() const { return unacked_; }
    std::uint64_t bytes() const { return ready_.bytes() + unacked_bytes_ + delayed_bytes_; }
    const std::vector<Consumer*>& consumers() const { return consumers_; }

    struct Tally {
        std::uint64_t published = 0, delivered = 0, acknowledged = 0;
    };
    const Tally& tally() const { return tally_; }

    // Bookkeeping of the vhost and the router.
    std::vector<Binding*> incoming;  // bindings this queue is the destination of
    LogPosition declared_at = 0;     // its topology record ends there
    std::uint64_t routed = 0;        // the router's mark
    Milliseconds due = never;        // registered with the vhost's timers
    bool in_the_way = false;         // of a durable one of that name: confirms no persistent message
    bool scheduled = false;
    bool deleted = false;  // gone for everybody but the holders of unacknowledged messages

  private:
    struct Delayed {
        LanePlace place;
        Entry entry;
    };

    Consumer* next_consumer();
    void deliver_ready();
    bool must_wait_for_memory(const Entry& entry);
    void drop_expired(Milliseconds before);
    void drop_excess();
    void end_back_offs();
    bool is_lost(const Error& error) const { return error.kind == Error::Kind::corrupt; }
    void try_again_later();
    bool blocked() const;
    bool discard(Entry& entry, DeathReason reason);
    void fail(LanePlace place, Entry entry);
    void delay(LanePlace place, Entry entry, Milliseconds wait);
    Milliseconds back_off(std::uint64_t failures) const;
    void settle(Entry& entry);

    Vhost& vhost_;
    QueueSpec spec_;
    QueueArguments arguments_;
    QueueId id_;
    Backlog ready_;
    std::multimap<Milliseconds, Delayed> delayed_;  // by the end of their back-off
    std::vector<Consumer*> consumers_;  // highest priority first; within one, the next to serve first
    Consumer* active_ = nullptr;        // with x-single-active-consumer
    bool starved_ = false;              // no consumer had credit when last asked
    bool had_consumers_ = false;
    std::uint64_t unacked_ = 0, unacked_bytes_ = 0, delayed_bytes_ = 0;
    Tally tally_;
    Milliseconds last_used_ = 0;
    Milliseconds blocked_until_ = 0;  // content could not be read: nothing is taken before then

    std::optional<Milliseconds> message_ttl_;  // of arguments and policy, the shorter
    std::uint32_t max_attempts_ = 0;
    MessagePtr with_attempts(const Entry& entry, const MessagePtr& message) const;
    Milliseconds backoff_min_ = 0, backoff_max_ = 0;
};

}  // namespace havn::broker
