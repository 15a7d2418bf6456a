// A non-blocking stream socket, and what is known of its readiness. Whoever registers it with a poller passes
// the events on to note().
#pragma once

#include <cstdint>

#include "gateway/core/turn/transport.h"
#include "io/fd.h"

namespace havn::gateway {

// Has the kernel ask a peer that says nothing whether it is there: after a minute, and three times more at
// intervals of a quarter, so that one that vanished without a word (a phone in a tunnel, a cable) costs its
// connection two minutes. What a listening socket is told of this, those it accepts inherit. Nothing happens
// to a Unix socket.
void probe_when_silent(int fd);

class Socket : public Transport {
  public:
    Socket() = default;
    explicit Socket(io::Fd fd) : fd_(std::move(fd)) {}
    Socket(Socket&&) = default;
    Socket& operator=(Socket&&) = default;

    Received receive(char* into, std::size_t size) final;
    Status send(Outgoing& outgoing) final;
    Opening finish_opening() final;
    bool is_stale() final;
    void shutdown_write() final;
    void close() override { fd_.reset(); }
    void reset() final;
    void probe_when_silent() final { gateway::probe_when_silent(fd()); }

    int fd() const { return fd_.get(); }
    bool is_open() const { return static_cast<bool>(fd_); }

    // What epoll said. A hang-up keeps the socket readable until its end is read.
    void note(std::uint32_t events);

    // connect() has not finished.
    void not_writable_yet() {
        writable_ = false;
        connecting_ = true;
    }

  private:
    io::Fd fd_;
    bool connecting_ = false;
};

}  // namespace havn::gateway
