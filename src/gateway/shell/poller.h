// Readiness of many sockets for one thread, without an allocation or a system call per operation.
//
// A socket is registered once, edge-triggered: on_ready() tells what changed, and its owner remembers it
// until a read or write says "would block". (Asio's waits cost a system call each;
// docs/decisions/0001-gateway-data-path.md.)
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/fd.h"

namespace havn::gateway {

class Pollable {
  public:
    virtual ~Pollable() = default;
    virtual void on_ready(std::uint32_t events) = 0;  // of epoll(7)
};

class Poller {
  public:
    static constexpr std::uint32_t edge = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    static constexpr std::uint32_t level = EPOLLIN;

    Poller();

    Result<> add(int fd, Pollable& target, std::uint32_t events);
    void remove(int fd);

    // Waits for events; calls nothing yet.
    void wait(milliseconds timeout);

    // Calls on_ready() for each. A target may be forgotten meanwhile: it is told nothing then.
    void dispatch();

    // Tells `target`, which was removed or whose descriptor was closed, nothing of the events that wait.
    void forget(const Pollable& target);

  private:
    io::Fd epoll_;
    std::vector<epoll_event> events_;
    int count_ = 0;
    int next_ = 0;
};

}  // namespace havn::gateway
