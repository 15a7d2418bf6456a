// What control asks of the supervisor, and the configuration that was accepted last.
//
// A configuration is accepted whole or not at all: it is checked, who wrote it is looked up (as root), its
// listening sockets are opened; then it is written down, and the table is told. The supervisor believes its
// own copy alone: what stands in control's folder decides nothing here.
#pragma once

#include <functional>

#include "contract/link.h"
#include "io/loop.h"
#include "supervisor/core/process_table.h"
#include "supervisor/keeper/options.h"
#include "supervisor/runtime/platform_accounts.h"
#include "supervisor/shell/listening_sockets.h"
#include "supervisor/shell/part_links.h"
#include "supervisor/shell/supervisor_log.h"
#include "supervisor/shell/turn.h"

namespace havn::supervisor {

class Commands {
  public:
    struct Context {
        io::Loop& loop;
        ProcessTable& table;
        const PartLinks& parts;
        ListeningSockets& listening;
        const Accounts& accounts;
        const ReadPrograms& read_programs;
        SupervisorLog& log;
        Turn& turn;
        // "keeper" or "supervisor" is to be replaced by another process.
        std::function<void(const std::string&)> replace;
    };

    // What `context` refers to outlives this object.
    explicit Commands(const Context& context) : context_(context) {}

    // At start: what was accepted last holds again. Without it control alone is started, and tells what to
    // run; so it is where a listening socket cannot be had, until it can. `continues`: a platform runs.
    void load_accepted(bool continues);

    Result<> apply(const link::Apply& message);
    Result<> restart(const link::Restart& message);

    // To one part, if it has a link: the sockets it is to accept on.
    void send_listeners(const std::string& part);

  private:
    Result<> check_authors(Desired& desired, const Json& origin) const;
    void accept(Desired desired);
    static io::Task<void> retry_accepted(Commands* self);

    Context context_;
    Desired accepted_;      // the last one
    bool applied_ = false;  // a configuration is in force
};

}  // namespace havn::supervisor
