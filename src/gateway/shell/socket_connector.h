// Connects to endpoints: sockets on the poller of one thread. A descriptor that is short is freed elsewhere
// once; each connection has a place among those of the process, beside the ones from outside.
#pragma once

#include "gateway/core/cluster/connector.h"
#include "gateway/core/policy/admission.h"
#include "gateway/shell/descriptors.h"
#include "gateway/shell/poller.h"

namespace havn::gateway {

class SocketConnector final : public Connector {
  public:
    // All of them outlive it and what it makes.
    SocketConnector(Poller& poller, Admission& admission, Descriptors& descriptors)
        : poller_(poller), admission_(admission), descriptors_(descriptors) {}

    Result<std::unique_ptr<Destination>> destination(const std::string& address) override;

  private:
    class Address;

    Poller& poller_;
    Admission& admission_;
    Descriptors& descriptors_;
};

}  // namespace havn::gateway
