// What the process table wants done; the shell performs effects in order.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"
#include "supervisor/core/instance.h"

namespace havn::supervisor {

struct Spawn {  // answer with ProcessTable::started, or ::ended when nothing began
    InstanceId instance;
};
struct Terminate {  // let it end in its own way
    InstanceId instance;
};
struct KillTree {  // end all of it now
    InstanceId instance;
};
struct Probe {  // one health check, answered by ProcessTable::probed
    InstanceId instance;
};
struct Publish {};  // ProcessTable::endpoints changed
struct Forget {     // the instance is gone from the table; its name and number may live on in another
    InstanceId instance;
    std::string app;
    std::string name;
    std::uint32_t number;
    Role role;
};
struct Say {  // a sentence for the supervisor's log
    log::Level level;
    std::string text;
};
struct Finished {};  // stop_all is complete: nothing runs any more

using Effect = std::variant<Spawn, Terminate, KillTree, Probe, Publish, Forget, Say, Finished>;

// The effects of one event, in order, as the classes of the table add them.
class Effects {
  public:
    void add(Effect effect) { effects_.push_back(std::move(effect)); }
    template <class... Args>
    void say(log::Level level, fmt::format_string<Args...> format, Args&&... args) {
        add(Say{level, fmt::format(format, std::forward<Args>(args)...)});
    }
    std::vector<Effect> take() { return std::exchange(effects_, {}); }

  private:
    std::vector<Effect> effects_;
};

}  // namespace havn::supervisor
