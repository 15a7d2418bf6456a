// A transport over an end of the simulated network.
#pragma once

#include <memory>

#include "gateway/core/turn/transport.h"
#include "sim/gateway_world.h"
#include "sim/network.h"

namespace havn::sim {

class SimTransport final : public gateway::Transport {
  public:
    // World and user outlive it; the network owns the end.
    SimTransport(World& world, End& end, gateway::TransportUser& user);
    ~SimTransport() override { close(); }

    // It is being opened until opened() says how that went.
    void begin_opening();
    void opened(bool well);

    // Expires with the transport, or when it is closed.
    std::weak_ptr<bool> alive() const { return alive_; }

    Received receive(char* into, std::size_t size) override;
    Status send(gateway::Outgoing& outgoing) override;
    Opening finish_opening() override { return opening_; }
    bool is_stale() override { return readable_ || broken_ || end_.broken(); }
    void shutdown_write() override { end_.finish(); }
    void close() override;
    void reset() override;
    void probe_when_silent() override {}

  private:
    World& world_;
    End& end_;
    gateway::TransportUser& user_;
    Opening opening_ = Opening::open;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace havn::sim
