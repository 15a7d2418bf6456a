// Control's end of the link to the supervisor: commands with their replies, and the table of processes.
//
// The messages are those of contract/link.h.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "contract/link.h"
#include "contract/process_rows.h"
#include "io/asio.h"
#include "io/link.h"

namespace havn::control {

using io::Task;

class SupervisorLink {
  public:
    SupervisorLink(io::Executor executor, io::Fd socket);

    void ready();  // tells the supervisor that control serves

    // Called after each new table.
    void on_table(std::function<void()> function) { on_table_ = std::move(function); }

    // Called with each word of the whole set of sockets to answer on, and a descriptor for each.
    using OnListeners = std::function<void(const link::Listeners&, std::vector<io::Fd>)>;
    void on_listeners(OnListeners function) { on_listeners_ = std::move(function); }

    // Takes what the supervisor says until the link ends; the supervisor is gone then, and so must control.
    Task<void> receive();

    // Sends {"type":type,"id":…,…arguments} and waits for the reply; nothing when none came in time, and then
    // nobody knows whether it was done.
    Task<std::optional<Result<>>> ask(std::string type, Json arguments, Duration timeout);

    static Error no_answer();

    // The same, with no_answer() for none.
    Task<Result<>> command(std::string type, Json arguments, Duration timeout);

    // The rows of the process table: [{name, instance, kind, pid, state, restarts, since, …}].
    const Json& processes() const { return processes_.rows(); }
    std::uint64_t revision() const { return revision_; }  // counts tables; 0: none came yet

    // Waits until a table other than number `seen` is there. False when the deadline came first.
    Task<bool> changed(std::uint64_t seen, Time deadline);

  private:
    struct Waiter {
        io::Timer timer;
        std::optional<Result<>> reply;
    };
    void on_message(io::Link::Message message);
    void wake_all();

    io::Executor executor_;
    io::Link link_;
    std::uint64_t next_id_ = 1;
    std::map<std::uint64_t, std::shared_ptr<Waiter>> waiting_;
    std::set<std::shared_ptr<io::Timer>> watching_;
    link::ProcessRows processes_;
    std::uint64_t revision_ = 0;
    std::function<void()> on_table_;
    OnListeners on_listeners_;
};

}  // namespace havn::control
