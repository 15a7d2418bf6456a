#include "gateway/core/transaction_states.h"

#include <array>
#include <initializer_list>
#include <utility>

namespace havn::gateway {
namespace {

using enum TransactionState;
using Event = TransactionEvent;
using Action = TransactionAction;
using Row = std::array<TransactionStep, transaction_event_count>;

constexpr Row row(TransactionState self, std::initializer_list<std::pair<Event, TransactionStep>> steps) {
    Row row{};
    for (TransactionStep& cell : row) cell = {self, Action::none};
    for (const auto& [event, target] : steps) row[static_cast<std::size_t>(event)] = target;
    return row;
}

constexpr std::array table = {
    row(routing, {{Event::refused, {answering, Action::answer}},
                  {Event::routed, {connecting, Action::attempt}},
                  {Event::client_gone, {over, Action::abandon}},
                  {Event::body_refused, {answering, Action::refuse}}}),
    row(connecting, {{Event::refused, {answering, Action::answer}},
                     {Event::connected, {awaiting, Action::relay}},
                     {Event::repeatable, {connecting, Action::retry}},
                     {Event::failed, {answering, Action::fallback}},
                     {Event::client_gone, {over, Action::abandon}},
                     {Event::body_refused, {answering, Action::refuse}},
                     {Event::client_late, {connecting, Action::expire}},
                     {Event::source_late, {connecting, Action::expire}}}),
    row(awaiting, {{Event::refused, {answering, Action::answer}},
                   {Event::repeatable, {connecting, Action::retry}},
                   {Event::failed, {answering, Action::fallback}},
                   {Event::delivered, {settling, Action::settle}},
                   {Event::head_passed, {responding, Action::none}},
                   {Event::switched, {tunnelling, Action::relay}},
                   {Event::client_gone, {over, Action::abandon}},
                   {Event::body_refused, {answering, Action::refuse}},
                   {Event::client_late, {answering, Action::late}},
                   {Event::source_late, {awaiting, Action::expire}}}),
    row(settling, {{Event::refused, {answering, Action::answer}},
                   {Event::failed, {answering, Action::fallback}},
                   {Event::head_passed, {responding, Action::none}},
                   {Event::client_gone, {over, Action::abandon}},
                   {Event::client_late, {settling, Action::expire}},
                   {Event::source_late, {settling, Action::expire}}}),
    row(responding, {{Event::complete, {over, Action::finish}},
                     {Event::broken, {over, Action::cut}},
                     {Event::client_gone, {over, Action::abandon}},
                     {Event::body_refused, {over, Action::cut}},
                     {Event::client_late, {over, Action::cut}},
                     {Event::source_late, {over, Action::cut}}}),
    row(tunnelling, {{Event::complete, {over, Action::finish}},
                     {Event::broken, {over, Action::cut}},
                     {Event::client_gone, {over, Action::abandon}},
                     {Event::body_refused, {over, Action::cut}},
                     {Event::client_late, {over, Action::cut}},
                     {Event::source_late, {over, Action::cut}}}),
    row(answering, {{Event::complete, {over, Action::finish}},
                    {Event::broken, {over, Action::cut}},
                    {Event::client_gone, {over, Action::abandon}},
                    {Event::body_refused, {over, Action::cut}},
                    {Event::client_late, {over, Action::cut}},
                    {Event::source_late, {over, Action::cut}}}),
    row(over, {}),
};
static_assert(table.size() == transaction_state_count, "one row per state, in the order of TransactionState");
static_assert(static_cast<std::size_t>(over) + 1 == transaction_state_count);
static_assert(static_cast<std::size_t>(Event::source_late) + 1 == transaction_event_count);

constexpr std::array<std::string_view, transaction_state_count> names = {
    "routing", "connecting", "awaiting", "settling", "responding", "tunnelling", "answering", "over"};

}  // namespace

TransactionStep step(TransactionState state, TransactionEvent event) {
    return table[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

std::string_view name(TransactionState state) {
    return names[static_cast<std::size_t>(state)];
}

}  // namespace havn::gateway
