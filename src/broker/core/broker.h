// The broker: its virtual hosts by name, who may open them, and what they and all connections share.
//
// Pure: no socket, no clock, one thread. Whoever owns it calls in with the time and afterwards looks at what
// the waker named. Order at start: construct, let the journal recover into recovery(), apply(config), accept
// connections. Connections must be gone before the broker is; journal and waker outlive it.
//
// After every call into the broker or one of its connections the caller flushes the journal (once per loop
// turn) and tells each connection that waits_for() something once that position is durable.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "broker/core/broker_recovery.h"
#include "broker/core/connection.h"
#include "broker/core/memory_policy.h"
#include "broker/core/message/journal.h"
#include "broker/core/queue/counters.h"
#include "broker/core/queue/vhost.h"
#include "contract/broker.h"

namespace havn::broker {

struct QueueStats {
    std::string vhost, name;
    bool durable = false;
    std::uint64_t ready = 0;  // waiting, those that wait for the end of a back-off included
    std::uint64_t unacked = 0;
    std::uint64_t consumers = 0;
    std::uint64_t bytes = 0;                                       // bodies of ready and unacked messages
    std::uint64_t published = 0, delivered = 0, acknowledged = 0;  // since the process began
};

class Broker final : private ConnectionHost {
  public:
    Broker(const Config& config, Journal& journal, Waker& waker, Time now, WallTime wall);
    Broker(const Broker&) = delete;
    Broker& operator=(const Broker&) = delete;
    ~Broker() override;

    RecoverySink& recovery() { return recovery_; }  // before the first apply()

    // Declares the queues that have a policy and puts the policies in force; never deletes. Limits reach new
    // connections, users and policies all. A virtual host that is not named any more is not served: its
    // connections are ended with 320, and what is in it stays until it is named again. Error::conflict names
    // queues that are in the way; the rest is in force.
    Result<> apply(const Config& config);
    const Config& config() const { return config_; }

    // Expiry of messages and queues, ends of back-off. Time::max() when nothing is due. Read it again after
    // any call: the deadline moves both ways.
    Time next_deadline() const;
    void on_time(Time now, WallTime wall);

    // A reason (shown to clients) holds publishers back until the empty string releases them. The broker
    // raises an alarm of its own while it holds more than config().memory_bytes, and ends it when it holds
    // clearly less.
    void set_alarm(std::string_view reason);
    const std::string& alarm() const { return context_.alarm; }  // the present one, of either kind
    bool memory_alarm() const { return memory_.alarm(); }
    std::uint64_t memory_used() const { return store_.used(); }
    std::uint64_t content_bytes() const { return MessagePtr::bytes_in_memory(); }  // message content held now

    std::vector<QueueStats> queue_stats() const;  // of the virtual hosts that are served, by vhost and name
    // In the log and not understood, so not served: "NAME" in "/", else "VHOST/NAME".
    std::vector<std::string> parked_queues() const;
    std::size_t vhosts() const;  // those that are served
    const Counters& counters() const { return counters_; }
    // How many messages went; Error::not_found.
    Result<std::uint64_t> purge(std::string_view vhost, std::string_view queue);

    ConnectionContext& connections() { return context_; }  // what a Connection is made with

  private:
    bool may_log_in(std::string_view user, std::string_view password, bool loopback) const override;
    std::expected<Vhost*, Fault> open_vhost(std::string_view name, std::string_view user) override;
    void add(Connection& connection) override { connections_.insert(&connection); }
    void remove(Connection& connection) override { connections_.erase(&connection); }
    void check_memory() override;

    Vhost* find(std::string_view vhost) const;
    void set_limits();
    void suspend_unnamed();
    void update_alarm();
    void shed_stuck();

    Config config_;
    TurnClock clock_;
    MessageStore store_;
    QueueScheduler scheduler_;
    QueueIds ids_;
    Counters counters_;
    UniqueNames names_;
    VhostContext vhost_context_;
    NameMap<std::unique_ptr<Vhost>> vhosts_;
    BrokerRecovery recovery_;
    ConnectionContext context_;
    std::set<Connection*> connections_;  // each belongs to who made it, and says when it ends
    MemoryPolicy memory_;
    std::string disk_alarm_;
};

}  // namespace havn::broker
