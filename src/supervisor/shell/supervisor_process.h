// The supervisor at work: takes charge, feeds the process table with what happens, performs what it decided,
// and ends when everything is stopped.
//
// One loop decides; a thread of its own reads and writes logs (logs/log_writer.h). Everything that must
// outlive this object's process is in the store (descriptors) or in the state files (the rest), so that a
// SIGKILL at any moment loses nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "io/link.h"
#include "io/loop.h"
#include "supervisor/core/state/adoption.h"
#include "supervisor/keeper/descriptor_store.h"
#include "supervisor/keeper/options.h"
#include "supervisor/shell/platform.h"
#include "supervisor/shell/turn.h"

namespace havn::supervisor {

class SupervisorProcess final : Turn, RuntimeObserver, PartLinksObserver {
  public:
    SupervisorProcess(Options options, io::Fd keeper);
    int run();

  private:
    using Signals = io::asio::basic_signal_set<io::Executor>;

    // Taking charge.
    static io::Task<void> start(SupervisorProcess* self);
    Result<bool> enter_folder();  // true when an earlier supervisor's platform is still there
    Result<> build(bool continues);
    static Result<SavedState> find_saved();
    static io::Task<void> end_leftovers(SupervisorProcess* self);
    void take_over(bool continues);
    bool reconnect(const Instance& part);
    void refuse(const Error& error);

    // What happens.
    void on_keeper(const Json& message);
    static io::Task<void> watch_keeper(SupervisorProcess* self);
    static io::Task<void> watch_signals(SupervisorProcess* self);
    static io::Task<void> watch_time(SupervisorProcess* self);
    void life_started(InstanceId instance, const Started& started) override;
    void life_ended(InstanceId instance, const Exit& exit, const std::string& error) override;
    void exit_known(InstanceId instance, const Exit& exit) override;
    void part_said(InstanceId part, Json message) override;
    void part_lost(InstanceId part) override;
    void obey(const link::ToSupervisor& said);
    void answer(std::uint64_t command, const Result<>& done);
    void connect(const Instance& part);

    // What was decided.
    void finish() override;
    void perform(const Spawn& effect);
    void perform(const Terminate& effect) { platform_->runtime.terminate(effect.instance); }
    void perform(const KillTree& effect) { platform_->runtime.kill(effect.instance); }
    void perform(const Probe& effect) { platform_->health.check(effect.instance); }
    void perform(const Publish& effect);
    void perform(const Forget& effect);
    void perform(const Say& effect) { platform_->log.say(effect.level, effect.text); }
    void perform(const Finished& effect);
    Result<> start_life(const Instance& instance);
    static io::Task<void> stop(SupervisorProcess* self);
    static io::Task<void> replace(SupervisorProcess* self, std::string process);
    io::Task<void> finish_logs();

    Options options_;
    io::Loop loop_;
    io::Link keeper_;
    DescriptorStore store_;
    io::Timer timer_;
    io::Timer logs_finished_;
    Signals signals_;
    std::map<int, int> exits_;  // status by pid, of what ended while there was no supervisor
    std::unique_ptr<Platform> platform_;
    std::map<InstanceId, LogMarks::Ticket> starts_;  // asked of the runtime, and not told yet
    std::optional<SavedState> saved_;                // until it was taken over
    int interrupts_ = 0;
    bool performing_ = false;
    int exit_code_ = 1;
};

}  // namespace havn::supervisor
