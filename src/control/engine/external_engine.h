// A broker that runs elsewhere (`[broker] url`): its queues are not Havn's to see or to change, and every
// question is answered with whom to ask instead.
#pragma once

#include "control/engine/queue_engine.h"

namespace havn::control {

class ExternalEngine final : public QueueEngine {
  public:
    io::Task<Result<>> apply(broker::Config config) override;
    io::Task<Result<std::vector<QueueState>>> queues() override;
    io::Task<Result<std::uint64_t>> purge(std::string vhost, std::string queue) override;
    io::Task<Result<Json>> status() override;
    io::Task<Result<std::string>> metrics() override;
};

}  // namespace havn::control
