#include "supervisor/core/lifecycle.h"

namespace havn::supervisor {

namespace {

using enum State;
using Row = std::array<Step, event_count>;

constexpr Row row(State self, std::initializer_list<std::pair<Event, Step>> steps) {
    Row row{};
    for (Step& cell : row) cell = {self, Action::none};
    for (const auto& [event, target] : steps) row[static_cast<std::size_t>(event)] = target;
    return row;
}

constexpr std::array transitions = {
    row(down, {{Event::start, {waiting, Action::none}}, {Event::stop, {down, Action::gone}}}),
    row(waiting, {{Event::dependencies_met, {starting, Action::spawn}}, {Event::stop, {down, Action::gone}}}),
    row(starting, {{Event::probe_passed, {ready, Action::publish}},
                   {Event::stop, {stopping, Action::terminate}},
                   {Event::exited, {backoff, Action::retry}},
                   {Event::deadline, {stopping, Action::terminate}}}),
    row(ready, {{Event::probe_failed, {unready, Action::publish}},
                {Event::stop, {draining, Action::drain}},
                {Event::exited, {backoff, Action::retry}}}),
    row(unready, {{Event::probe_passed, {ready, Action::publish}},
                  {Event::stop, {stopping, Action::terminate}},
                  {Event::exited, {backoff, Action::retry}},
                  {Event::deadline, {stopping, Action::terminate}}}),
    row(draining, {{Event::drained, {stopping, Action::terminate}},
                   {Event::deadline, {stopping, Action::terminate}},
                   {Event::exited, {down, Action::gone}}}),
    row(stopping, {{Event::deadline, {killing, Action::kill}}, {Event::exited, {down, Action::gone}}}),
    row(killing, {{Event::deadline, {killing, Action::kill}}, {Event::exited, {down, Action::gone}}}),
    row(backoff, {{Event::deadline, {waiting, Action::none}}, {Event::stop, {down, Action::gone}}}),
};
static_assert(transitions.size() == state_count, "one row per state, in the order of State");
static_assert(static_cast<std::size_t>(backoff) + 1 == state_count);
static_assert(static_cast<std::size_t>(Event::deadline) + 1 == event_count);

constexpr std::array<std::string_view, state_count> state_names = {
    "down", "waiting", "starting", "ready", "unready", "draining", "stopping", "killing", "backoff"};

}  // namespace

Step step(State state, Event event) {
    return transitions[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

std::string_view name(State state) {
    return state_names[static_cast<std::size_t>(state)];
}

std::optional<State> state_from_name(std::string_view name) {
    for (std::size_t i = 0; i < state_count; ++i) {
        if (state_names[i] == name) return static_cast<State>(i);
    }
    return std::nullopt;
}

}  // namespace havn::supervisor
