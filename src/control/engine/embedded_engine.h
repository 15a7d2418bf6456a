// The platform's own broker as a queue engine: HTTP + JSON over run/broker.sock (broker/shell/admin.h).
//
// What it answers is another process's word: it is read with bounds, and a row that is not as it should be
// makes the whole answer Error::invalid.
#pragma once

#include <string>

#include "control/engine/queue_engine.h"
#include "rpc/client.h"

namespace havn::control {

class EmbeddedEngine final : public QueueEngine {
  public:
    // `address`: "unix:run/broker.sock", relative to the data folder.
    explicit EmbeddedEngine(std::string address) : address_(std::move(address)) {}

    io::Task<Result<>> apply(broker::Config config) override;
    io::Task<Result<std::vector<QueueState>>> queues() override;
    io::Task<Result<std::uint64_t>> purge(std::string vhost, std::string queue) override;
    io::Task<Result<Json>> status() override;
    io::Task<Result<std::string>> metrics() override;

  private:
    std::string address_;
};

}  // namespace havn::control
