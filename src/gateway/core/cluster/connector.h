// How endpoints are reached: addresses become destinations, destinations give transports. The shell connects
// sockets; a simulation stands in for it.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "gateway/core/turn/transport.h"

namespace havn::gateway {

class Destination {
  public:
    virtual ~Destination() = default;

    // Open, or being opened. Null: refused at once, or out of descriptors. `user` owns the transport.
    virtual std::unique_ptr<Transport> connect(TransportUser& user) = 0;
};

class Connector {
  public:
    // The error says what is wrong with the address.
    virtual Result<std::unique_ptr<Destination>> destination(const std::string& address) = 0;

  protected:
    ~Connector() = default;
};

}  // namespace havn::gateway
