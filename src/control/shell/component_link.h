// Keeps gateway and broker informed of the configuration in force, and asks them things: the shell of
// Components (core/components.h), which decides who is to be told and when.
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/error.h"
#include "control/core/components.h"
#include "control/engine/queue_engine.h"
#include "control/shell/supervisor_link.h"
#include "io/asio.h"
#include "rpc/client.h"

namespace havn::control {

class ComponentLink {
  public:
    // `supervisor`, whose table says who runs, and `engine`, by which the broker is told, are owned by the
    // process and outlive this.
    ComponentLink(io::Executor executor, const SupervisorLink& supervisor, QueueEngine& engine)
        : supervisor_(supervisor), engine_(engine), wake_(executor) {}

    // What must hold from now on.
    void set(const Compiled& compiled);

    // Looks again at who runs: to be called when the table of processes changed.
    void wake();

    // Somebody asked for a change, and has mostly just removed what was in the way.
    void try_again();

    // Tells whoever does not know the configuration yet; never returns.
    Task<void> keep_informed();

    // Whether the gateway sends requests to every instance of `services` (empty: of all) that the table calls
    // ready.
    Task<bool> gateway_follows(std::set<std::string> services);

    const Components& state() const { return components_; }

    static rpc::Client gateway() { return rpc::Client("unix:run/gateway.sock"); }

  private:
    Task<Result<>> tell(Components::Update update, broker::Config broker);

    const SupervisorLink& supervisor_;
    QueueEngine& engine_;
    io::Timer wake_;
    Components components_;
    broker::Config broker_;  // of the configuration in force
};

}  // namespace havn::control
