// One thread of the gateway in a simulated world: real connections, transactions, sources and pools over a
// bad network, with instances that may fail in every way, and a broker that may as well.
//
// The ledger holds what the outside saw; tests compare it with what must hold.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/core/http1/http1_environment.h"
#include "gateway/core/policy/memory.h"
#include "gateway/core/publisher.h"
#include "gateway/core/turn/turn.h"
#include "sim/network.h"
#include "sim/scheduler.h"

namespace havn::sim {

class Instance;

// The bytes of a body that belongs to a request of this number: no two bodies look alike.
std::string pattern(std::uint64_t id, std::size_t size);

struct Ledger {
    std::map<std::uint64_t, int>
        heads_seen;  // by number of the request: connections on which it came to an instance
    std::set<std::uint64_t> unrepeatable;  // those that must come to one instance at most, and once
    std::set<std::uint64_t> confirmed;     // jobs that the broker took for good
    std::vector<std::string> wrongs;       // what must not be, as it was noticed
};

struct WorldOptions {
    std::size_t instances = 3;
    std::size_t healthy = 3;  // of them, the first ones
    std::uint32_t head_bytes_max = 16384;
    std::uint32_t keepalive = 4;
};

class World final : private gateway::Connector,
                    private gateway::Clusters::Observer,
                    private gateway::Connections::Observer,
                    private gateway::QueueJob::Observer,
                    private gateway::LineSink,
                    private gateway::Publisher {
  public:
    World(Scheduler& scheduler, Network& network, gateway::MemoryBudget& budget, const WorldOptions& options);
    ~World() override;

    // The client's end of a new connection to the gateway.
    End& connect();

    // Another limit for heads, from now on.
    void reload(std::uint32_t head_bytes_max);

    // Endpoints leave the table; what is in flight to them goes on.
    void remove_endpoints();

    // One turn of the thread's loop around `work`.
    template <class Work>
    void turn(Work work) {
        begin_turn();
        work();
        end_turn();
    }

    Scheduler& scheduler() { return scheduler_; }
    Network& network() { return network_; }
    Ledger& ledger() { return ledger_; }
    gateway::Metrics& metrics() { return metrics_; }
    const gateway::Clusters& clusters() const { return clusters_; }
    std::uint64_t failures_of(std::uint32_t instance);
    std::uint64_t in_flight_of(std::uint32_t instance);

  private:
    class Address;

    void begin_turn();
    void end_turn();

    Result<std::unique_ptr<gateway::Destination>> destination(const std::string& address) override;
    void on_drained(const std::string&, std::uint64_t) override {}
    void on_connection_closed() override {}
    void on_memory_refused() override {}
    bool submit(std::string) override { return true; }

    void set_broker(const gateway::BrokerAddress&) override {}
    void publish(gateway::Job job, Waiter& waiter) override;
    void forget(Waiter& waiter) override { jobs_.erase(&waiter); }
    bool give_up(Waiter& waiter) override;
    bool end_of_turn() override { return false; }
    std::string_view blocked_reason() const override { return {}; }
    void settle(Waiter* waiter, std::uint64_t number, Outcome outcome);

    struct Published {
        std::uint64_t number = 0;  // a waiter may publish again
        std::uint64_t request = 0;
        gateway::Job job;
    };

    Scheduler& scheduler_;
    Network& network_;
    Ledger ledger_;
    std::vector<std::unique_ptr<Instance>> instances_;
    std::uint32_t keepalive_;
    gateway::MemoryShare memory_;
    std::map<Waiter*, Published> jobs_;
    std::uint64_t published_ = 0;
    gateway::Turn turn_;
    gateway::Metrics metrics_;
    gateway::LogBuffer log_;
    gateway::Clusters clusters_;
    gateway::Settings settings_;
    gateway::Http1Environment environment_;
    gateway::Connections connections_;
    std::optional<Scheduler::Ticket> wake_;
};

}  // namespace havn::sim
