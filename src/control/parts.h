// Gateway and broker as control sees them: keeps each told of the configuration in force, and asks them
// things.
//
// A part reads its file under applied/current/ when it starts; from then on it is told here. Each is told
// anew when the configuration changes and when its process does, so none can be left with an old one by a
// race.
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/json.h"
#include "control/compile.h"
#include "control/supervisor_link.h"
#include "io/asio.h"
#include "rpc/client.h"

namespace havn::control {

class Parts {
  public:
    Parts(io::Executor executor, SupervisorLink& supervisor) : supervisor_(supervisor), wake_(executor) {}

    // What must hold from now on.
    void set(const Compiled& compiled);

    // Looks again at who runs: to be called when the table of processes changed.
    void wake() { wake_.cancel(); }

    // Tells whoever does not know yet, for ever.
    Task<void> keep_told();

    // Whether the part, if it runs, knows the configuration in force.
    bool told(const std::string& name) const;

    // Whether the table calls the part ready.
    bool serves(const std::string& name) const;

    // Whether the gateway sends requests to every instance of `services` (empty: of all) that the table calls
    // ready.
    Task<bool> gateway_follows(std::set<std::string> services);

    static rpc::Client gateway() { return rpc::Client("unix:run/gateway.sock"); }
    static rpc::Client broker() { return rpc::Client("unix:run/broker.sock"); }

  private:
    struct Part {
        Json config;
        std::uint64_t generation = 0;  // of `config`
        std::uint64_t told = 0;        // the generation `told_pid` knows
        int told_pid = 0;
        bool complained = false;
        bool refused = false;  // it answered, and does not take the configuration
    };
    bool all_told() const;
    int running_pid(const std::string& name) const;
    bool knows(const std::string& name, const Part& part) const;
    Task<bool> tell(std::string name);

    SupervisorLink& supervisor_;
    io::Timer wake_;
    std::map<std::string, Part> parts_;
};

}  // namespace havn::control
