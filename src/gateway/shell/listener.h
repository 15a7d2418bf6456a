// A listening socket of one thread. What becomes of a connection is its acceptor's word.
#pragma once

#include <string>

#include "gateway/core/turn/retired.h"
#include "gateway/shell/poller.h"
#include "io/fd.h"

namespace havn::gateway {

class Acceptor;
struct RouteEntry;

class Listener final : public Pollable, public Retirable {
  public:
    struct Source {
        std::string name;  // "edge" or "service:NAME"
        io::Fd fd;
    };

    // The acceptor owns it; `service`, the route of everything that comes here, is null on the edge.
    Listener(Acceptor& acceptor, io::Fd fd, const RouteEntry* service)
        : acceptor_(acceptor), fd_(std::move(fd)), service_(service) {}

    void on_ready(std::uint32_t events) override;
    int fd() const { return fd_.get(); }
    bool of_edge() const { return !service_; }

  private:
    Acceptor& acceptor_;
    io::Fd fd_;
    const RouteEntry* service_;
};

}  // namespace havn::gateway
