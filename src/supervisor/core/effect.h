// What the core wants done; the shell performs effects in order.
#pragma once

#include <string>
#include <variant>

#include "base/log.h"
#include "supervisor/core/unit.h"

namespace havn::supervisor {

struct Spawn {  // answer with Fleet::spawned, or Fleet::ended when there is no process
    UnitId unit;
};
struct Terminate {  // SIGTERM
    UnitId unit;
};
struct KillTree {  // SIGKILL to everything that descends from it
    UnitId unit;
};
struct Probe {  // one health check, answered by Fleet::probed
    UnitId unit;
};
struct Publish {};  // Fleet::endpoints changed
struct Forget {     // the unit is gone from the fleet; its name and instance may live on in another
    UnitId unit;
    std::string name;
    std::uint32_t instance;
};
struct Say {  // a sentence for the supervisor's log
    log::Level level;
    std::string text;
};
struct Finished {};  // stop_all is complete: nothing runs any more

using Effect = std::variant<Spawn, Terminate, KillTree, Probe, Publish, Forget, Say, Finished>;

}  // namespace havn::supervisor
