// The state of the one virtual host "/": exchanges, bindings, queues; and what all sessions share.
//
// Pure: no socket, no clock, one thread. Whoever owns it calls in with the time and afterwards looks at what
// the waker named. Order at start: construct, let the journal recover into it, apply(config), accept
// sessions. Sessions must be gone before the broker is.
//
// After every call into the broker or one of its sessions the caller flushes the journal (once per loop turn)
// and tells each session that waits_for() something once that position is durable.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "broker/core/message/delivery_id.h"
#include "broker/core/message/journal.h"
#include "broker/core/message/message.h"
#include "contract/broker.h"

namespace havn::broker {

class Session;
class Vhost;

// How the core says "look at this session": its output() was empty and is not any more, or it is closed()
// now. Called from inside other calls: note the session, act later.
class Waker {
  public:
    virtual ~Waker() = default;
    virtual void wake(Session& session) = 0;
};

struct Counters {                   // since the process began
    std::uint64_t published = 0;    // messages taken from publishers
    std::uint64_t unroutable = 0;   // of these, those no queue wanted
    std::uint64_t delivered = 0;    // to consumers and by basic.get, every attempt
    std::uint64_t redelivered = 0;  // of these, not the first attempt
    std::uint64_t acknowledged = 0;
    std::uint64_t confirmed = 0;
    std::uint64_t dead_lettered = 0;
    std::uint64_t expired = 0;
};

struct QueueStats {
    std::string name;
    bool durable = false;
    std::uint64_t ready = 0;  // waiting, those that wait for the end of a back-off included
    std::uint64_t unacked = 0;
    std::uint64_t consumers = 0;
    std::uint64_t bytes = 0;                                       // bodies of ready and unacked messages
    std::uint64_t published = 0, delivered = 0, acknowledged = 0;  // since the process began
};

class Broker final : public RecoverySink {
  public:
    Broker(const Config& config, Journal& journal, Waker& waker, Time now, WallTime wall);
    Broker(const Broker&) = delete;
    Broker& operator=(const Broker&) = delete;
    ~Broker() override;

    // Recovery, before the first apply().
    void on_topology(std::string_view key, std::string_view value) override;
    void on_topology_complete() override;
    bool on_delivery(QueueId queue, DeliveryId delivery, std::uint32_t offset, const Message::Parts& message,
                     const History& history) override;

    // Declares the queues that have a policy and puts the policies in force; never deletes. Limits reach new
    // sessions, users and policies all. Error::conflict names queues that are in the way; the rest is in
    // force.
    Result<> apply(const Config& config);
    const Config& config() const;

    // Expiry of messages and queues, ends of back-off. Time::max() when nothing is due. Read it again after
    // any call: the deadline moves both ways.
    Time next_deadline() const;
    void on_time(Time now, WallTime wall);

    // A reason (shown to clients) holds publishers back until the empty string releases them. The broker
    // raises an alarm of its own while it holds more than config().memory_bytes, and ends it when it holds
    // clearly less.
    void set_alarm(std::string_view reason);
    const std::string& alarm() const;  // the present one, of either kind
    bool memory_alarm() const;
    std::uint64_t memory_used() const;

    std::vector<QueueStats> queue_stats() const;
    std::vector<std::string> parked_queues() const;  // kept in the log, not understood, not served
    const Counters& counters() const;
    std::uint64_t content_bytes() const;                  // message content held in memory now
    Result<std::uint64_t> purge(std::string_view queue);  // how many messages went; Error::not_found

    Vhost& vhost() { return *vhost_; }  // for the other modules of the core

  private:
    std::unique_ptr<Vhost> vhost_;
};

}  // namespace havn::broker
