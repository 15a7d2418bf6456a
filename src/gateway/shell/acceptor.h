// Who comes in on one thread: its listening sockets, a place for each connection before it is accepted, and
// who makes room when places or descriptors are short.
//
// Full, somebody who only waits makes room. Where nobody does, listening is paused, and new connections wait
// in the kernel's backlog. Connections between services need no place; they wait only when there is no
// descriptor.
#pragma once

#include <memory>
#include <vector>

#include "gateway/core/http1/connections.h"
#include "gateway/core/settings.h"
#include "gateway/core/turn/turn.h"
#include "gateway/shell/alarm_log.h"
#include "gateway/shell/descriptors.h"
#include "gateway/shell/listener.h"
#include "gateway/shell/poller.h"
#include "gateway/shell/shared.h"

namespace havn::gateway {

class Acceptor final : public Timer, public Descriptors, public Connections::Observer {
  public:
    // All of it outlives the acceptor.
    struct Environment {
        Turn& turn;
        Poller& poller;
        Shared& shared;
        Metrics& metrics;
        Settings& settings;
        AlarmLog& alarms;
        Connections& connections;
        const Http1Connection::Environment& connection;
    };

    explicit Acceptor(const Environment& environment) : environment_(environment) {}
    ~Acceptor() { environment_.turn.deadlines.clear(*this); }

    // The whole set; those that are not named any more are heard no longer.
    void set_listeners(std::vector<Listener::Source> sources);

    // A place for a connection that waits to be accepted; none when there is no room for it, and listening is
    // paused. place_at_hand() is for one that may wait too: nobody is closed for it, and nothing is paused.
    Admission::Place place_for_one(bool from_outside);
    Admission::Place place_at_hand(bool from_outside);
    void accepted(io::Fd fd, const IpAddress& address, Admission::Place place, const RouteEntry* service);
    void accept_failed(int error_number);

    // Closes up to `most` clients from outside that have waited for their next request for `idle` at least.
    std::size_t shed_idle(std::size_t most, Duration idle);

    bool free_some(int error_number) override;
    void on_connection_closed() override;
    void on_deadline() override { resume(); }

  private:
    void pause(bool services_too);
    void resume();
    bool is_paused(const Listener& listener) const;
    void listen_to(Listener& listener);

    Environment environment_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    bool edge_paused_ = false, services_paused_ = false;
};

}  // namespace havn::gateway
