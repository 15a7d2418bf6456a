// The addresses of `[metrics] listen`: GET /metrics is answered there to whoever reaches them, and nothing
// else is. The supervisor makes the sockets and hands them over; a peer may hold a connection, its memory and
// its place for a bounded time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "contract/link.h"
#include "io/fd.h"
#include "rpc/server.h"

namespace havn::control {

class MetricsListeners {
  public:
    MetricsListeners(io::Executor executor, rpc::Server::Handler metrics)
        : executor_(executor), metrics_(std::move(metrics)) {}

    // The whole set, with a descriptor for each entry. What is not in it any more is closed, its connections
    // too; what is there already stays.
    Result<> replace(const link::Listeners& listeners, std::vector<io::Fd> descriptors);

  private:
    io::Executor executor_;
    rpc::Server::Handler metrics_;
    std::map<std::string, std::unique_ptr<rpc::Server>> servers_;  // by address
};

}  // namespace havn::control
