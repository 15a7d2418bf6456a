// Health checks: a service is asked at its address, a part of the platform over its link.
#pragma once

#include <string>

#include "io/loop.h"
#include "supervisor/core/process_table.h"
#include "supervisor/core/runtime.h"
#include "supervisor/shell/part_links.h"
#include "supervisor/shell/probe.h"
#include "supervisor/shell/state_files.h"
#include "supervisor/shell/turn.h"

namespace havn::supervisor {

class HealthChecks {
  public:
    struct Context {
        io::Loop& loop;
        ProcessTable& table;
        Runtime& runtime;
        const PartLinks& parts;
        StateFiles& state;
        Turn& turn;
    };

    // What `context` refers to outlives this object.
    explicit HealthChecks(const Context& context) : context_(context) {}

    // One check; the table is told what came of it. Nothing for an instance without a life.
    void check(InstanceId instance);

  private:
    static io::Task<void> ask_part(HealthChecks* self, InstanceId part, std::string handle,
                                   milliseconds timeout);
    static io::Task<void> ask_service(HealthChecks* self, InstanceId service, Started life,
                                      std::optional<HealthCheck> health);
    std::string why_refused(const Instance& instance);

    Context context_;
};

}  // namespace havn::supervisor
