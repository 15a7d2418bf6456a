// The control API on run/control.sock: what the CLI and `curl --unix-socket` may ask. docs/api.md describes
// it.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "control/core/api_requests.h"
#include "control/engine/queue_engine.h"
#include "control/shell/change_stream.h"
#include "control/shell/component_link.h"
#include "control/shell/reconciler_driver.h"
#include "control/shell/supervisor_link.h"
#include "rpc/server.h"

namespace havn::control {

class Api {
  public:
    // All three are owned by the process and outlive the server. Paths are relative to the data folder, the
    // working directory.
    // What is behind the queues: the platform's own broker, or one that runs elsewhere.
    struct Engines {
        QueueEngine& embedded;
        QueueEngine& external;
    };

    // Everything is owned by the process and outlives this.
    Api(ReconcilerDriver& reconciler, SupervisorLink& supervisor, ComponentLink& components, Engines engines)
        : reconciler_(reconciler),
          supervisor_(supervisor),
          components_(components),
          engines_(engines),
          stream_(reconciler, supervisor, components) {}

    void add_routes(rpc::Server& server);

    // Those of /metrics, collected at most a second ago: whoever asks often costs little.
    Task<rpc::Response> recent_metrics(rpc::Request request);

  private:
    using Answer = Task<rpc::Response>;

    Answer status(rpc::Request request);
    Answer processes(rpc::Request request);
    Answer routes(rpc::Request request);
    Answer manifest(rpc::Request request);
    Answer gateway(rpc::Request request);
    Answer broker(rpc::Request request);
    Answer queues(rpc::Request request);
    Answer purge(rpc::Request request);
    Answer plan(rpc::Request request);
    Answer apply(rpc::Request request);
    Answer scaled(rpc::Request request);
    Answer scale(rpc::Request request);
    Answer restart(rpc::Request request);
    Answer down(rpc::Request request);
    Answer logs(rpc::Request request);
    Answer metrics(rpc::Request request);
    Task<std::string> collect_metrics();

    QueueEngine& engine();
    Answer make(Change change, Progress::Asked asked);
    Task<void> retry_failed(Json before, std::set<std::string> names);
    Json process_table() const;
    Task<void> tail(std::shared_ptr<rpc::Lines> out, LogsRequest asked);
    Result<> known(const std::string& name) const;

    ReconcilerDriver& reconciler_;
    SupervisorLink& supervisor_;
    ComponentLink& components_;
    Engines engines_;
    ChangeStream stream_;
    std::string recent_metrics_;
    std::optional<Time> recent_since_;
};

}  // namespace havn::control
