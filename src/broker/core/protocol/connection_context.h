// What all connections of a broker share, and what they ask of the broker.
//
// The broker owns every part and implements the host; it outlives its connections. One thread.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/name_map.h"
#include "broker/core/message/message_store.h"
#include "broker/core/message/turn_clock.h"
#include "broker/core/protocol/unique_names.h"
#include "broker/core/queue/counters.h"
#include "broker/core/queue/fault.h"
#include "broker/core/queue/queue_scheduler.h"
#include "contract/broker.h"

namespace havn::broker {

class Connection;
class ReplyConsumer;
class Vhost;

// How the core says "look at this connection": its output() was empty and is not any more, or it is closed()
// now, or it may be read again. Called from inside other calls: note the connection, act later.
class Waker {
  public:
    virtual ~Waker() = default;
    virtual void wake(Connection& connection) = 0;
};

class ConnectionHost {
  public:
    virtual ~ConnectionHost() = default;
    virtual bool may_log_in(std::string_view user, std::string_view password, bool loopback) const = 0;
    // A fault: there is no such virtual host, or it is not this user's.
    virtual std::expected<Vhost*, Fault> open_vhost(std::string_view name, std::string_view user) = 0;
    virtual void add(Connection& connection) = 0;
    virtual void remove(Connection& connection) = 0;
    virtual void check_memory() = 0;  // after whatever may have changed it: cheap while nothing changes
};

struct ConnectionContext {
    const Config& config;  // the one in force: replaced in place
    TurnClock& clock;
    MessageStore& store;
    QueueScheduler& scheduler;
    Counters& counters;
    UniqueNames& names;
    ConnectionHost& host;
    Waker& waker;
    std::string alarm{};                        // why publishers are held back; empty: they are not
    LogPosition durable = 0;                    // the log is durable at least up to here
    std::size_t refusals = 0;                   // of log-ins, not told yet
    NameMap<ReplyConsumer*> reply_consumers{};  // direct reply-to, by token
};

}  // namespace havn::broker
