// A socket as the transport of a connection: registered with its thread's poller, and with a place among the
// connections of the process.
#pragma once

#include <utility>

#include "gateway/core/policy/admission.h"
#include "gateway/shell/poller.h"
#include "gateway/shell/socket.h"

namespace havn::gateway {

class PlainTransport final : public Socket, public Pollable {
  public:
    // Poller and user outlive it.
    PlainTransport(Poller& poller, TransportUser& user, io::Fd fd, Admission::Place place)
        : Socket(std::move(fd)), poller_(poller), user_(user), place_(std::move(place)) {}
    ~PlainTransport() override { close(); }

    // Events come from now on.
    Result<> watch() { return poller_.add(fd(), *this, Poller::edge); }

    void on_ready(std::uint32_t events) override {
        note(events);
        user_.on_transport_ready();
    }

    void close() override {
        if (!is_open()) return;
        Socket::close();
        poller_.forget(*this);
        place_.leave();
    }

  private:
    Poller& poller_;
    TransportUser& user_;  // it owns this transport
    Admission::Place place_;
};

}  // namespace havn::gateway
