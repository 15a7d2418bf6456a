// What the broker knows, for the modules of the core: names, messages, turns and timers.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/budget.h"
#include "base/time.h"
#include "broker/core/broker.h"
#include "broker/core/exchange.h"
#include "broker/core/message/journal.h"
#include "broker/core/queue.h"
#include "broker/core/router.h"
#include "broker/core/topology.h"
#include "contract/broker.h"

namespace havn::broker {

class Channel;
class Conversation;

inline constexpr std::string_view failed_suffix =
    ".failed";  // of the queue a policy's hopeless messages go to

// The expiration property: digits, milliseconds. Nothing for anything else.
std::optional<Milliseconds> parse_expiration(std::string_view text);

// A message on its way to queues.
struct Publication {
    Message::Parts parts;
    bool persistent = false;
    std::uint8_t priority = 0;
    std::optional<Milliseconds> expiration;
};

class Vhost {
  public:
    Vhost(const Config& config, Journal& journal, Waker& waker, Time now, WallTime wall);
    Vhost(const Vhost&) = delete;
    Vhost& operator=(const Vhost&) = delete;
    ~Vhost();

    // Time, as of the call from outside that is being served.
    Milliseconds now() const { return now_; }
    WallTime wall() const { return WallTime(wall_offset_ + milliseconds(now_)); }
    WallMilliseconds wall_milliseconds() const {
        return std::chrono::floor<milliseconds>(wall().time_since_epoch()).count();
    }
    void set_now(Time now);
    void set_clock(Time now, WallTime wall);

    // Names.
    Exchange* find_exchange(std::string_view name);
    Queue* find_queue(std::string_view name);
    Exchange& add_exchange(ExchangeSpec spec);
    void delete_exchange(Exchange& exchange);
    Queue& add_queue(QueueSpec spec, QueueArguments arguments);
    void delete_queue(Queue& queue);
    Binding& bind(Exchange& source, Queue* queue, Exchange* exchange, std::string_view key,
                  amqp::Table arguments);
    void unbind(Exchange& source, Queue* queue, Exchange* exchange, std::string_view key,
                amqp::Table arguments);
    const NameMap<std::unique_ptr<Queue>>& queues() const { return queues_; }
    const NameMap<std::uint32_t>& parked_queues() const { return parked_; }

    // Messages. enqueue() tells whether the log has it now: a confirm then waits for journal.position().
    bool enqueue(const Publication& publication, std::span<Queue* const> queues);
    Result<MessagePtr> content(const Entry& entry);  // as Journal::read()
    void settle(Entry& entry);                       // that delivery is over

    // Memory. Messages and their places in queues are counted here; connections add what they hold besides.
    // Beyond the limit an alarm holds publishers back; well beyond it nothing more is begun that needs any.
    Budget memory{UINT64_MAX / 2};
    std::uint64_t memory_used() const;
    bool memory_alarm() const { return memory_alarm_; }
    bool memory_exhausted() const { return memory_used() > memory.limit() + memory.limit() / 4; }
    bool may_fetch_large();        // content that is not in memory, in spite of the above
    bool someone_starves = false;  // for want of that
    void check_memory();

    // Turns and timers.
    void schedule(Queue& queue);
    void run();  // the turns of all scheduled queues
    void set_due(Queue& queue, Milliseconds due);
    Time next_deadline() const;
    void on_time();

    // Start and configuration.
    void on_topology(std::string_view key, std::string_view value);
    void on_topology_complete();
    void keep_promised_queues();
    bool on_delivery(QueueId queue, DeliveryId delivery, std::uint32_t offset, const Message::Parts& message,
                     const History& history);
    Result<> apply(const Config& config);
    void declare_policy_queue(const std::string& name);  // durable, without arguments; no-op when it is there
    bool is_promised(std::string_view queue) const;      // by the configuration: it is there, and durable

    void set_alarm(std::string_view reason);
    const std::string& alarm() const { return alarm_; }

    Config config;
    Journal& journal;
    Waker& waker;
    Router router;
    Counters counters;
    LogPosition durable = 0;  // the log is durable at least up to here
    std::set<Conversation*> connections;
    std::size_t refusals = 0;          // of log-ins, not told yet
    NameMap<Channel*> reply_channels;  // direct reply-to, by token
    std::uint64_t names_given = 0;     // makes generated names unlike each other
    std::string unique_name(std::string_view prefix);

  private:
    Queue& insert_queue(QueueSpec spec, QueueArguments arguments, QueueId id);
    Binding& insert_binding(Exchange& source, const std::string& identity, Queue* queue, Exchange* exchange,
                            std::string_view key, amqp::Table arguments);
    void remove_binding(Binding& binding);
    bool recover_queue(topology::QueueRecord record);
    void park_queue(std::string_view name, std::string_view value);
    bool is_parked(QueueId id) const;
    QueueId take_queue_id(const std::string& name);
    void recover_binding(const topology::BindingRecord& record);
    QueueId next_queue_id();
    void hold(Entry& entry, MessagePtr message);
    void update_alarm();
    void shed_stuck();
    std::size_t prune_fetched();
    void bury();

    Milliseconds now_ = 0;
    WallTime::duration wall_offset_{};
    NameMap<std::unique_ptr<Exchange>> exchanges_;
    NameMap<std::unique_ptr<Queue>> queues_;
    std::unordered_map<std::uint32_t, Queue*> by_id_;
    std::vector<std::unique_ptr<Queue>> deleted_;  // until their unacknowledged messages are settled
    std::vector<Queue*> scheduled_;
    std::set<std::pair<Milliseconds, Queue*>> timers_;
    std::vector<topology::BindingRecord> recovered_bindings_;
    NameMap<std::uint32_t> parked_;   // ids of queues that were not understood, by name
    std::vector<QueueId> stored_in_;  // scratch of enqueue()
    std::uint32_t next_id_ = 1, reserved_id_ = 1;
    std::string alarm_, disk_alarm_;
    bool memory_alarm_ = false;
    Milliseconds shed_at_ = never;
    std::uint64_t entries_ = 0;  // places of messages in queues and with consumers

    // Large contents read back from the log that are on their way to somebody: found again for the next one.
    struct Fetched {
        DeliveryId id;
        std::uint32_t offset = 0;
        MessagePtr message;
    };
    std::vector<Fetched> fetched_;
    std::uint64_t salt_ = 0;
};

}  // namespace havn::broker
