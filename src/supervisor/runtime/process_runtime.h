// The runtime of isolation level `process`: a life is a process of the host and all that descends from it.
//
// A service gets a port on 127.0.0.1, told to it as $PORT: that is its address. A life's handle is a cookie
// in the environment of everything it starts, by which what hid is found; it begins with the run's own text.
// A start is complete within the call. Ends are watched by pidfd and reaped; of processes that an earlier
// supervisor had started the keeper is the parent, and its word comes by `told_exit`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/random.h"
#include "io/loop.h"
#include "supervisor/core/runtime.h"
#include "supervisor/runtime/platform_accounts.h"
#include "supervisor/runtime/process_ends.h"
#include "supervisor/runtime/process_lives.h"

namespace havn::supervisor {

class ProcessRuntime final : public Runtime {
  public:
    struct Context {
        io::Loop& loop;
        RuntimeObserver& observer;
        const Accounts& accounts;
        std::function<void(const std::string&)> note;  // a sentence for the supervisor's log
    };

    // What `context` refers to outlives this object. `executable`: our own binary, for parts; stays its
    // owner's. `run`: unguessable, and the same for all supervisors of one platform.
    ProcessRuntime(const Context& context, int executable, std::string run, std::uint64_t seed);

    Result<> start(const Instance& instance, const StartPipes& pipes) override;
    void terminate(InstanceId instance) override;
    void kill(InstanceId instance) override;
    bool adopt(const Instance& instance) override;
    void forget(InstanceId instance) override;
    void end_unknown(const std::set<std::string>& known_handles) override;
    std::optional<std::string> impostor(InstanceId instance) override;
    std::string answers_elsewhere(InstanceId instance) override;
    std::optional<Usage> usage(InstanceId instance) override;

    // The keeper's word about the end of a process that an earlier supervisor had started; status as of
    // wait(2). It and the pidfd's come in any order.
    void told_exit(int pid, int status);
    // SIGCHLD: main processes are announced to their instances; what else became our child is reaped.
    void reap();
    // What is left of the platform, where nothing of it may be any more.
    std::vector<int> leftovers() const;

  private:
    Result<std::uint16_t> choose_port(InstanceId instance);
    void watch(ProcessLifePtr life);
    static io::Task<void> watch_exit(ProcessRuntime* self, ProcessLifePtr life);
    static io::Task<void> watch_start(ProcessRuntime* self, ProcessLifePtr life);
    static io::Task<void> wait_for_group(ProcessRuntime* self, ProcessLifePtr life);
    void on_exit(const ProcessLifePtr& life);
    void on_life_over(const ProcessLifePtr& life);

    Context context_;
    int executable_;
    std::string run_;
    Random random_;
    std::uint16_t next_port_;
    ProcessLives lives_;
    ProcessEnds ends_;
    std::map<InstanceId, std::uint16_t> ports_;  // until the instance is forgotten
    std::map<int, InstanceId> unexplained_;      // by pid: ended, and the keeper's word about it is due
    Time next_search_{};                         // for where a service answers instead
};

}  // namespace havn::supervisor
