#include "supervisor/core/lifecycle.h"

#include <gtest/gtest.h>

namespace havn::supervisor {
namespace {

TEST(Lifecycle, a_crash_of_what_runs_leads_to_a_retry) {
    for (const State state : {State::starting, State::ready, State::unready}) {
        EXPECT_EQ(step(state, Event::exited), (Step{State::backoff, Action::retry})) << name(state);
    }
}

TEST(Lifecycle, an_end_that_was_asked_for_is_final) {
    for (const State state : {State::draining, State::stopping, State::killing}) {
        EXPECT_EQ(step(state, Event::exited), (Step{State::down, Action::gone})) << name(state);
    }
}

TEST(Lifecycle, stop_always_leads_towards_down) {
    EXPECT_EQ(step(State::ready, Event::stop), (Step{State::draining, Action::drain}));
    EXPECT_EQ(step(State::draining, Event::drained), (Step{State::stopping, Action::terminate}));
    EXPECT_EQ(step(State::draining, Event::deadline), (Step{State::stopping, Action::terminate}));
    EXPECT_EQ(step(State::stopping, Event::deadline), (Step{State::killing, Action::kill}));
    EXPECT_EQ(step(State::killing, Event::deadline), (Step{State::killing, Action::kill}));
    for (const State state : {State::down, State::waiting, State::backoff}) {
        EXPECT_EQ(step(state, Event::stop), (Step{State::down, Action::gone})) << name(state);
    }
}

TEST(Lifecycle, a_late_answer_changes_nothing) {
    for (const State state :
         {State::down, State::waiting, State::draining, State::stopping, State::backoff}) {
        EXPECT_EQ(step(state, Event::probe_passed), (Step{state, Action::none})) << name(state);
        EXPECT_EQ(step(state, Event::probe_failed), (Step{state, Action::none})) << name(state);
    }
    EXPECT_EQ(step(State::ready, Event::drained), (Step{State::ready, Action::none}));
}

TEST(Lifecycle, only_dependencies_met_spawns) {
    for (std::size_t s = 0; s < state_count; ++s) {
        for (std::size_t e = 0; e < event_count; ++e) {
            const Step taken = step(static_cast<State>(s), static_cast<Event>(e));
            const bool spawns = taken.action == Action::spawn;
            EXPECT_EQ(spawns, static_cast<Event>(e) == Event::dependencies_met &&
                                  static_cast<State>(s) == State::waiting);
        }
    }
}

TEST(Lifecycle, names_round_trip) {
    for (std::size_t s = 0; s < state_count; ++s) {
        EXPECT_EQ(state_from_name(name(static_cast<State>(s))), static_cast<State>(s));
    }
    EXPECT_EQ(state_from_name("asleep"), std::nullopt);
}

}  // namespace
}  // namespace havn::supervisor
