// A broker as its shell runs it, on a simulated network and a disk that forgets: the real core and the real
// log, client sockets that read and write in pieces, one flush of the log per turn, crashes and restarts.
//
// Asks after every step that no client is held more output than it may leave unread. Scheduler, disk, ledger
// and network belong to the run and outlive the host.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/core/broker.h"
#include "broker/core/connection.h"
#include "broker/core/message/journal.h"
#include "broker/log/log.h"
#include "broker/log/lossy_disk_testing.h"
#include "contract/broker.h"
#include "sim/broker_ledger.h"
#include "sim/network.h"
#include "sim/scheduler.h"

namespace havn::sim {

class BrokerHost final : public broker::Waker {
  public:
    struct World {
        Scheduler& scheduler;
        Network& network;
        broker::LossyDisk& disk;
        BrokerLedger& ledger;
    };

    BrokerHost(const World& world, broker::Config config);
    ~BrokerHost() override;

    End* connect();  // a client's end of a new connection
    void crash();    // what was not synced may be lost; the next broker is there at once
    broker::Broker& broker() { return *broker_; }
    std::uint64_t queued() const;  // messages in queues and with consumers

  private:
    class WatchedJournal;
    struct Socket {
        End* end = nullptr;  // the network's
        std::unique_ptr<broker::Connection> connection;
        std::string unread, unsent;
        std::size_t sent = 0;
        bool hung_up = false;
    };

    void start();
    void stop();
    void read(Socket& socket);
    void feed(Socket& socket);
    void send(Socket& socket);
    void turn_soon();
    void turn();
    void write_soon();
    void on_written();
    void tick();
    void in_this_life(Duration delay, std::function<void()> action);
    void wake(broker::Connection&) override { turn_soon(); }

    World world_;
    broker::Config config_;
    std::unique_ptr<broker::Log> log_;
    std::unique_ptr<WatchedJournal> journal_;
    std::unique_ptr<broker::Broker> broker_;
    std::vector<std::shared_ptr<Socket>> sockets_;
    std::uint64_t life_ = 0;
    std::uint32_t salt_ = 0;
    bool turn_is_due_ = false, write_is_due_ = false;
    Time deadline_ = Time::max();  // of the broker: planned
};

}  // namespace havn::sim
