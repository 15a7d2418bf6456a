// The supervisor's own log and the events of its instances; both are written by the writer's thread.
#pragma once

#include <string_view>
#include <vector>

#include "base/log.h"
#include "supervisor/core/instance_events.h"
#include "supervisor/logs/log_writer.h"

namespace havn::supervisor {

class SupervisorLog {
  public:
    // The writer outlives this object. `shown`: lines also go to whoever watches.
    SupervisorLog(LogWriter& writer, bool shown) : writer_(writer), shown_(shown) {}

    void say(log::Level level, std::string_view text);
    // One line of JSON for each change of state: `havn events`.
    void keep(const std::vector<Transition>& transitions);

  private:
    LogWriter& writer_;
    bool shown_;
};

}  // namespace havn::supervisor
