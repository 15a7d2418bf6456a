// A listening socket of one thread.
#pragma once

#include <string>

#include "gateway/shell/poller.h"
#include "io/fd.h"

namespace havn::gateway {

class Worker;
struct RouteEntry;

class Listener : public Pollable {
  public:
    struct Source {
        std::string name;  // "edge" or "service:NAME"
        io::Fd fd;
    };

    Listener(Worker& worker, io::Fd fd, const RouteEntry* service)
        : worker_(worker), fd_(std::move(fd)), service_(service) {}

    void on_ready(std::uint32_t events) override;
    int fd() const { return fd_.get(); }
    bool of_edge() const { return service_ == nullptr; }

  private:
    Worker& worker_;
    io::Fd fd_;
    const RouteEntry* service_;  // null on the edge
};

}  // namespace havn::gateway
