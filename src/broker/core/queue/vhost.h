// A virtual host: names of exchanges and queues, their bindings, and the way of a message into queues.
// Nothing of one virtual host is known in another.
//
// Owns its exchanges and queues; a deleted queue is handed to QueueScheduler. What is durable is written to
// the journal in the same call; `declared_at` tells the position a reply has to wait for. A virtual host that
// the configuration does not name is kept as it is and not served: its queues take no turns until it is named
// again.
//
// Belongs to the broker. The context outlives it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/name_map.h"
#include "broker/core/queue/exchange.h"
#include "broker/core/queue/queue.h"
#include "broker/core/queue/router.h"
#include "broker/core/queue/topology_records.h"
#include "broker/core/queue/vhost_context.h"

namespace havn::broker {

// Of the queue beside a policy's that takes what failed `max_attempts` times.
inline constexpr std::string_view failed_suffix = ".failed";

// The expiration property: digits, milliseconds. Nothing for anything else.
std::optional<Milliseconds> parse_expiration(std::string_view text);

// A message on its way to queues. Views into what is being read.
struct Publication {
    Message::Parts parts;
    bool persistent = false;
    std::uint8_t priority = 0;
    std::optional<Milliseconds> expiration;
};

class Vhost {
  public:
    Vhost(std::string name, const VhostContext& context);
    Vhost(const Vhost&) = delete;
    Vhost& operator=(const Vhost&) = delete;

    const std::string& name() const { return name_; }
    TurnClock& clock() const { return context_.clock; }
    MessageStore& store() const { return context_.store; }
    QueueScheduler& scheduler() const { return context_.scheduler; }
    Counters& counters() const { return context_.counters; }
    std::uint32_t frame_bytes_max() const { return context_.config.frame_bytes_max; }

    // Names. What is found belongs to this virtual host.
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

    // Messages. enqueue() tells whether the log has it now: a confirm then waits for journal().position().
    bool enqueue(const Publication& publication, std::span<Queue* const> queues);
    Router& router() { return router_; }

    // The configuration's word. The queues it promises are durable and stay: they are declared, never
    // deleted. Names of queues that are in their way are appended to `in_the_way`.
    void configure(
        const VhostConfig& wanted);  // served, with these policies; before recovery: nothing is declared
    void apply(const VhostConfig& wanted, bool nobody_is_connected, std::vector<std::string>& in_the_way);
    void suspend();  // the configuration does not name it any more: nobody is connected, nothing moves
    bool served() const { return served_; }
    void declare_policy_queue(const std::string& name);  // durable, without arguments; no-op when it is there

    // Recovery: what the journal has, which is not written again. A queue whose record is not understood is
    // parked: its messages stay in the log and are not served.
    void recover_exchange(ExchangeSpec spec);
    void recover_queue(topology::QueueRecord record, std::string_view value);
    void recover_binding(const topology::BindingRecord& record);
    void park_queue(std::string_view name, std::string_view value);
    void recovered();
    bool is_parked(QueueId id) const;
    const NameMap<std::uint32_t>& parked_queues() const { return parked_; }

  private:
    Queue& insert_queue(QueueSpec spec, QueueArguments arguments, QueueId id);
    Binding& insert_binding(Exchange& source, const std::string& identity, Queue* queue, Exchange* exchange,
                            std::string_view key, amqp::Table arguments);
    void remove_binding(Binding& binding);
    QueueId take_queue_id(const std::string& name);
    const QueuePolicy* policy_of(std::string_view queue) const;
    bool is_promised(std::string_view queue) const;
    void keep_promised_queues();

    std::string name_;
    VhostContext context_;
    VhostConfig config_;
    Router router_;
    NameMap<std::unique_ptr<Exchange>> exchanges_;
    NameMap<std::unique_ptr<Queue>> queues_;
    NameMap<std::uint32_t> parked_;   // ids of queues that were not understood, by name; 0: it may be any
    std::vector<QueueId> stored_in_;  // scratch of enqueue()
    bool served_ = false;
};

}  // namespace havn::broker
