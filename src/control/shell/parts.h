// Gateway and broker as control sees them: keeps each told of the configuration in force, and asks them
// things.
//
// A part reads its file under applied/current/ when it starts; from then on it is told here. Each is told
// anew when the configuration changes and when its process does, so none can be left with an old one by a
// race. One that does not listen yet is asked again at once. One that answers with a refusal has a cause that
// something else must remove: it is asked again after a pause that doubles from one second to ten, a second
// after something changed in the table of processes, and at once when try_again() is called; the cause is
// logged when it changes.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "control/core/compile.h"
#include "control/shell/supervisor_link.h"
#include "io/asio.h"
#include "rpc/client.h"

namespace havn::control {

class Parts {
  public:
    Parts(io::Executor executor, SupervisorLink& supervisor) : supervisor_(supervisor), wake_(executor) {}

    // What must hold from now on.
    void set(const Compiled& compiled);

    // Looks again at who runs: to be called when the table of processes changed.
    void wake();

    // Somebody asked for a change, and has mostly just removed what was in the way.
    void try_again();

    // Tells whoever does not know yet, for ever.
    Task<void> keep_told();

    // Whether the part, if it runs, knows the configuration in force.
    bool told(const std::string& name) const;

    // Why processes that run do not take the configuration in force: by the name of the part.
    std::map<std::string, Error> refusals() const;

    // Whether the table calls the part ready.
    bool serves(const std::string& name) const;

    // Whether the gateway sends requests to every instance of `services` (empty: of all) that the table calls
    // ready.
    Task<bool> gateway_follows(std::set<std::string> services);

    static rpc::Client gateway() { return rpc::Client("unix:run/gateway.sock"); }

  private:
    struct Part {
        Json config;
        std::uint64_t generation = 0;  // of `config`
        std::uint64_t told = 0;        // the generation `told_pid` knows
        int told_pid = 0;
        int asked_pid = 0;  // who answered last, and when
        Time asked_at{};
        Time ask_at{};                 // not before, unless its process is another one
        std::optional<Error> refusal;  // of `asked_pid`, which does not take `config`
        Duration pause{};              // after the next refusal
        std::string logged;            // the refusal that the log tells of
    };
    int running_pid(const std::string& name) const;
    bool knows(const std::string& name, const Part& part) const;
    Time due(const std::string& name) const;
    Task<void> tell(std::string name);
    void note_answer(const std::string& name, Part& part, const Result<Json>& answer);

    SupervisorLink& supervisor_;
    io::Timer wake_;
    std::map<std::string, Part> parts_;
};

}  // namespace havn::control
