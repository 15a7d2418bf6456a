// The control API on run/control.sock: what the CLI and `curl --unix-socket` may ask. docs/api.md describes
// it.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "control/core/api_requests.h"
#include "control/core/progress.h"
#include "control/engine/embedded_engine.h"
#include "control/engine/external_engine.h"
#include "control/shell/applier.h"
#include "control/shell/parts.h"
#include "control/shell/supervisor_link.h"
#include "rpc/server.h"

namespace havn::control {

class Api {
  public:
    // All three outlive the server. Paths are relative to the data folder, the working directory.
    Api(Applier& applier, SupervisorLink& supervisor, Parts& parts)
        : applier_(applier), supervisor_(supervisor), parts_(parts) {}

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
    Answer scale(rpc::Request request);
    Answer restart(rpc::Request request);
    Answer down(rpc::Request request);
    Answer logs(rpc::Request request);
    Answer metrics(rpc::Request request);
    Task<std::string> collect_metrics();

    QueueEngine& engine();
    Answer apply_wanted(Wanted wanted, bool force, Progress::Asked asked);
    Task<void> retry_failed(Json before, std::set<std::string> names);
    rpc::Response follow(Outcome outcome, Progress::Asked asked);
    Task<void> report(std::shared_ptr<rpc::Lines> out, Outcome outcome, Progress::Asked asked);
    Task<Result<>> watch(std::shared_ptr<rpc::Lines> out, std::shared_ptr<Progress> progress,
                         Progress::Asked asked);
    Json process_table() const;
    Task<Result<>> parts_told(std::shared_ptr<Progress> progress, Progress::Asked asked);
    Task<void> tail(std::shared_ptr<rpc::Lines> out, LogsRequest asked);
    Result<> known(const std::string& name) const;

    Applier& applier_;
    SupervisorLink& supervisor_;
    Parts& parts_;
    EmbeddedEngine embedded_engine_{"unix:run/broker.sock"};
    ExternalEngine external_engine_;
    std::string recent_metrics_;
    std::optional<Time> recent_since_;
};

}  // namespace havn::control
