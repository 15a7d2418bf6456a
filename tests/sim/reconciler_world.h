// The world of the reconciler's simulation: control, as a Reconciler and Components with a shell of their
// own; the supervisor, the gateway and the broker as what they are told; clients; a disk.
//
// Trouble lasts for `trouble_time`. The supervisor takes its time, refuses, accepts without saying so, or
// says so when nobody waits any more; gateway and broker die, refuse, or do not answer; control dies between
// any two effects and is started anew; a power cut takes the disk back to what was synced. After that all
// behave, and the run goes on until nothing is left to be done. What must hold at every step is expected
// right there:
//
//   - one change at a time, in the order of asking, each answered once; none waits in line past its time;
//   - the reconciler's deadline moves on: nothing is due over and over at one moment;
//   - what a restart finds is whole, and is what was accepted last, or a change that was being committed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/core/components.h"
#include "control/core/reconciler.h"
#include "sim/files.h"
#include "sim/reconciler_stores.h"
#include "sim/scheduler.h"

namespace havn::control {

class ReconcilerWorld {
  public:
    struct Trouble {
        bool crashes = false;    // of control, and of everything with the disk
        bool full_disk = false;  // now and then
    };

    ReconcilerWorld(std::uint64_t seed, Trouble trouble);

    void run();

    // What somebody holds, as text; nothing before the first configuration.
    std::optional<std::string> in_force() const;
    std::optional<std::string> gateway_in_force() const;
    std::optional<std::string> broker_in_force() const;
    std::optional<std::string> supervisor_holds() const { return supervisor_.holds; }
    std::optional<std::string> store_holds();
    std::optional<std::string> component_holds(const std::string& name) const;
    bool idle() const { return control_ && control_->reconciler.idle(); }
    std::size_t unanswered() const { return control_ ? control_->waiting.size() : 0; }

  private:
    static constexpr Duration trouble_time = seconds(240), calm_time = seconds(240);

    struct Waiting {
        Time since{};
        bool has_begun = false;
    };
    struct Control {
        explicit Control(sim::Files& disk) : revisions(disk), scales(disk), files(disk) {}
        Reconciler reconciler;
        Components components;
        SimRevisionStore revisions;
        SimScaleStore scales;
        SimComponentFiles files;
        std::deque<Effect> pending;
        bool performing = false;
        std::map<Ticket, Waiting> waiting;
        Ticket running = 0, last_begun = 0;
        std::optional<Time> last_tick;
        int ticks_at_once = 0;
        sim::Scheduler::Ticket alarm, telling;
        bool is_telling = false;
    };
    struct Supervisor {
        std::optional<std::string> holds;  // as it has it on disk
        Time busy_until{};                 // what it was sent is taken in order
    };
    struct Component {
        int pid = 0;  // 0: none runs
        std::optional<std::string> holds;
    };

    bool is_calm() const { return scheduler_.now() >= calm_from_; }
    bool goes_wrong(std::uint64_t once_in) { return !is_calm() && scheduler_.random().once_in(once_in); }
    void schedule_trouble();

    void start_control();
    void kill_control();
    void cut_the_power();
    void later(Duration least, Duration most, std::function<void()> action);  // unless control died meanwhile
    void perform(Effects effects);
    void perform(Begin& effect, Effects& more);
    void perform(ChoosePlacement& effect, Effects& more);
    void perform(WriteDraft& effect, Effects& more);
    void perform(DropDraft& effect, Effects& more);
    void perform(AskSupervisor& effect, Effects& more);
    void perform(Commit& effect, Effects& more);
    void perform(Announce& effect, Effects& more);
    void perform(Reply& effect, Effects& more);
    void set_alarm();
    void tick();
    void submit_something();
    Submission some_submission();
    void expect_what_was_accepted();

    void send_table();
    void tell_components();
    void tell(Components::Update update);
    void start_component(const std::string& name);
    void kill_component(const std::string& name);

    Trouble trouble_;
    sim::Scheduler scheduler_;
    sim::Files disk_;
    Time calm_from_;
    std::unique_ptr<Control> control_;
    std::uint64_t life_ = 0;  // of control
    Supervisor supervisor_;
    std::map<std::string, Component> components_;
    int next_pid_ = 100;
    int next_port_ = 28'000;
    std::optional<std::string> accepted_;    // the last configuration somebody was told of
    std::set<std::string> being_committed_;  // since then
};

}  // namespace havn::control
