// A broker process of a simulation: the real core, sockets that are ends of the simulated network, and a
// journal in memory that becomes durable late and loses what was not durable when the process crashes.
//
// The scheduler and the network outlive it. A run ends it with stop(), so that every connection has ended.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/core/broker.h"
#include "broker/core/connection.h"
#include "broker/core/message/journal.h"
#include "sim/network.h"
#include "sim/scheduler.h"

namespace havn::sim {

// What was handed over, in order. A crash keeps the durable part of it and, as the seed decides, some of what
// was written after.
class LateJournal final : public broker::Journal {
  public:
    Placement append(const broker::Message& message, std::span<const broker::QueueId> queues,
                     broker::WallMilliseconds published) override;
    void settle(broker::DeliveryId delivery, std::uint32_t body_bytes) override;
    void note_attempts(broker::DeliveryId, std::uint32_t) override {}
    void put(std::string_view key, std::string_view value) override;
    void erase(std::string_view key) override;
    broker::LogPosition position() const override { return entries_.size(); }
    Result<broker::MessagePtr> read(broker::DeliveryId delivery, std::uint32_t offset) override;

    broker::LogPosition durable() const { return durable_; }
    bool keeps(std::string_view message_id) const;  // whatever crashes from now on
    void make_durable(broker::LogPosition position) { durable_ = std::max(durable_, position); }
    void crash(Random& random);
    void forget_after(broker::LogPosition position);  // its writer is gone
    void recover_into(broker::RecoverySink& sink);

  private:
    struct Entry {
        enum class Kind : std::uint8_t { message, settled, put, erased } kind{};
        std::array<std::string, 4> texts{};  // of a message: its parts; of a pair: key and value
        std::vector<broker::QueueId> queues{};
        std::uint32_t ordinal = 0;  // of the first delivery, or of the one that was settled
        broker::WallMilliseconds published = 0;
    };
    static broker::Message::Parts parts(const Entry& entry);

    std::vector<Entry> entries_;
    std::uint32_t next_ordinal_ = 0;  // never given twice, whatever a crash takes away
    broker::LogPosition durable_ = 0;
};

class BrokerProcess final : public broker::Waker {
  public:
    BrokerProcess(Scheduler& scheduler, const broker::Config& config);
    ~BrokerProcess();

    void start();
    void crash();  // at any moment: connections reset, what was not durable may be lost
    void stop();   // connections reset, nothing is lost
    bool runs() const { return broker_ != nullptr; }

    void accept(End& end);  // while it runs
    bool keeps(std::string_view message_id) const { return journal_.keeps(message_id); }
    void set_alarm(bool raised);
    void hold_disk(bool held);   // nothing becomes durable meanwhile
    void hold_reads(bool held);  // it is busy elsewhere: no connection is read
    broker::Broker& core() { return *broker_; }

  private:
    struct Client {
        explicit Client(BrokerProcess& process, End& an_end);
        End& end;
        broker::Connection connection;
        std::string unread, unsent;
        bool gone = false;
    };

    void wake(broker::Connection& connection) override;
    void look(Client& client);
    bool feed(Client& client);
    bool flush(Client& client);
    void look_at_all();
    void end_turn();
    void release();
    void reset_connections();
    void tick();

    Scheduler& scheduler_;
    broker::Config config_;
    LateJournal journal_;
    std::unique_ptr<broker::Broker> broker_;
    std::list<Client> clients_;
    std::uint64_t life_ = 0;  // counts starts: what was scheduled in another one does nothing
    bool disk_held_ = false, reads_held_ = false, alarm_ = false, flushing_ = false, looking_ = false;
};

}  // namespace havn::sim
