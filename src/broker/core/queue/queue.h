// A queue: what waits, who consumes, and what happens to a message that nobody took in time.
//
// Work is done in turns: changes schedule the queue (`QueueScheduler::schedule`), and its turn delivers,
// expires and trims. So no method here calls a consumer, except run() and what runs it: accepts_another() of
// a full queue.
//
// A queue belongs to its virtual host, which outlives it. It owns its entries while they wait; those that a
// consumer was given are the consumer's, until acknowledge(), give_back() or reject(). A deleted queue stays
// until all of those have come back (`QueueScheduler::retire`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "broker/core/message/backlog.h"
#include "broker/core/message/delayed_entries.h"
#include "broker/core/message/delivery_id.h"
#include "broker/core/queue/consumer_list.h"
#include "broker/core/queue/queue_arguments.h"
#include "contract/broker.h"

namespace havn::broker {

struct Binding;
class Queue;
class Vhost;

// Who has exclusive queues: a connection, for one. It deletes them before it ends, so a queue that is not
// deleted has an owner that is there.
struct QueueOwner {
    std::unordered_set<Queue*> queues;  // the vhost keeps this up to date
};

struct QueueSpec {
    std::string name{};
    bool durable = false, auto_delete = false;
    QueueOwner* owner = nullptr;  // exclusive to it
    std::string arguments{};      // a field table's bytes
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
    std::optional<Delivery> get(bool no_ack);     // with no_ack the caller settles the entry
    void acknowledge(Entry& entry);
    void give_back(LanePlace place, Entry entry, Return how);
    void reject(LanePlace place, Entry entry);
    std::uint64_t purge();  // of those not with a consumer; how many

    // Consumers.
    const ConsumerList& consumers() const { return consumers_; }
    void add_consumer(Consumer& consumer);
    void remove_consumer(Consumer& consumer);  // an auto_delete queue goes with its last one
    void on_credit();                          // one of the consumers may take more than before

    // One turn: deliver what consumers have credit for, drop what is too old or too much.
    void run();
    void on_due();  // the moment registered with QueueScheduler has come
    void touch();   // resets x-expires

    void set_policy(const QueuePolicy* policy);  // null: none

    std::uint64_t ready_count() const { return ready_.count(); }
    std::uint64_t waiting_count() const { return ready_.count() + delayed_.count(); }
    std::uint64_t unacked_count() const { return unacked_.count; }
    std::uint64_t bytes() const { return ready_.bytes() + unacked_.bytes + delayed_.bytes(); }

    struct Tally {
        std::uint64_t published = 0, delivered = 0, acknowledged = 0;
    };
    const Tally& tally() const { return tally_; }

    // Bookkeeping of the virtual host, of QueueScheduler and of the router.
    std::vector<Binding*> incoming;  // bindings this queue is the destination of; their exchange owns them
    LogPosition declared_at = 0;     // its topology record ends there
    std::uint64_t routed = 0;        // the router's mark
    bool in_the_way = false;         // of a durable one of that name: confirms no persistent message
    bool deleted = false;            // gone for everybody but the holders of unacknowledged messages
    struct Turn {
        Milliseconds due = never;  // registered with the timers
        bool scheduled = false;
        bool suspended = false;  // its virtual host is not served: nothing moves
    };
    Turn turn;

  private:
    struct Unacked {
        std::uint64_t count = 0, bytes = 0;
    };
    struct Policy {
        std::optional<Milliseconds> message_ttl;  // of arguments and policy, the shorter
        std::uint32_t max_attempts = 0;
        Milliseconds backoff_min = 0, backoff_max = 0;
    };

    Milliseconds now() const;
    void schedule();
    void deliver_ready();
    void deliver_front(Consumer& consumer, MessagePtr content);
    void settle_front();  // its content is lost for good
    bool must_wait_for_memory(const Entry& entry);
    void drop_expired(Milliseconds before);
    void drop_excess();
    bool is_full() const;
    void end_back_offs();
    void try_again_later();
    bool blocked() const { return blocked_until_ > now(); }
    bool dead_letter_and_settle(Entry& entry, DeathReason reason);
    void move_to_failed(LanePlace place, Entry entry);
    void delay(LanePlace place, Entry entry, Milliseconds wait);
    Milliseconds back_off(std::uint64_t failures) const;
    bool counts_attempts() const;
    void note_returned(const Entry& entry);
    MessagePtr with_attempts(const Entry& entry, const MessagePtr& message) const;
    Milliseconds next_due() const;
    bool unused_too_long() const;  // x-expires

    Vhost& vhost_;
    QueueSpec spec_;
    QueueArguments arguments_;
    QueueId id_;
    Backlog ready_;
    DelayedEntries delayed_;
    ConsumerList consumers_;
    bool waits_for_credit_ = false;  // nobody could take the next message when last asked
    Unacked unacked_;
    Tally tally_;
    Milliseconds last_used_ = 0;
    Milliseconds blocked_until_ = 0;  // content could not be read: nothing is taken before then
    Policy policy_;
};

}  // namespace havn::broker
