// The only clock and the only thread of a simulation: a queue of actions, each due at a moment.
//
// Time stands still while an action runs and jumps to the next one when it returns. Actions of the same
// moment run in an order that the seed decides, so that a test sees events overtake each other. Everything
// that chance decides comes from random(); a run is repeated by its seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/random.h"
#include "base/time.h"

namespace havn::sim {

class Scheduler {
  public:
    using Action = std::function<void()>;

    // Names an action that has not run yet. A default-constructed one names none.
    class Ticket {
      public:
        Ticket() = default;

      private:
        friend class Scheduler;
        Time due_{};
        std::uint64_t order_ = 0;
    };

    explicit Scheduler(std::uint64_t seed) : random_(seed) {}
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    // Monotonic time begins an hour after its epoch and wall time in 2023, so that code that goes back by a
    // few minutes meets no limit.
    Time now() const { return now_; }
    WallTime wall_now() const {
        return WallTime(seconds(1'700'000'000)) + std::chrono::floor<microseconds>(now_ - start);
    }
    Random& random() { return random_; }

    // Runs `action` once, `delay` from now; a negative delay counts as none.
    Ticket after(Duration delay, Action action);
    Ticket at(Time due, Action action);
    // Any moment within [least, most] from now.
    Ticket within(Duration least, Duration most, Action action);

    // Nothing happens when the action has run, or was cancelled before.
    void cancel(Ticket ticket);

    // Runs the next action. False: there is none.
    bool step();

    // Runs everything that is due until `end`, and sets the clock to it.
    void run_until(Time end);

    // Runs until `done` says so, or nothing is left to run, or the clock passes `end`. True: `done` said so.
    bool run_until(const std::function<bool()>& done, Time end);

    std::size_t pending() const { return actions_.size(); }
    std::uint64_t steps() const { return steps_; }

  private:
    static constexpr Time start = Time(std::chrono::hours(1));

    Time now_ = start;
    Random random_;
    std::uint64_t steps_ = 0;
    // By moment, then by a number the seed draws. Two equal numbers would lose an action; at() draws again.
    std::map<std::pair<Time, std::uint64_t>, Action> actions_;
};

}  // namespace havn::sim
