// What the client of a change is told, line by line (docs/api.md, "Progress"): that it was accepted, what
// happens, and how it ended for each program.
#pragma once

#include <memory>
#include <string>

#include "control/core/progress.h"
#include "control/shell/component_link.h"
#include "control/shell/reconciler_driver.h"
#include "control/shell/supervisor_link.h"
#include "rpc/server.h"

namespace havn::control {

inline constexpr const char* log_folder = "logs";  // of the instances, within the data folder

class ChangeStream {
  public:
    // All three are owned by the process and outlive every stream.
    ChangeStream(const ReconcilerDriver& reconciler, SupervisorLink& supervisor, ComponentLink& components)
        : reconciler_(reconciler), supervisor_(supervisor), components_(components) {}

    // The answer to a change that was accepted, or to a restart.
    rpc::Response follow(ReconcilerDriver::Accepted accepted, Progress::Asked asked);

  private:
    Task<void> report(std::shared_ptr<rpc::Lines> out, ReconcilerDriver::Accepted accepted,
                      Progress::Asked asked);
    Task<Result<>> watch(std::shared_ptr<rpc::Lines> out, std::shared_ptr<Progress> progress,
                         Progress::Asked asked);
    Task<Result<>> components_know(std::shared_ptr<Progress> progress, Progress::Asked asked);
    Error too_slow(const std::string& component) const;

    const ReconcilerDriver& reconciler_;
    SupervisorLink& supervisor_;
    ComponentLink& components_;
};

// The addresses of a listener's name, for people: none of the sockets within the data folder.
Json addresses_of(const supervisor::Desired& desired, std::string_view name);

}  // namespace havn::control
