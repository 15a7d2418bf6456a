#include "gateway/core/transaction_states.h"

#include <gtest/gtest.h>

#include <vector>

namespace havn::gateway {
namespace {

using enum TransactionState;
using Event = TransactionEvent;
using Action = TransactionAction;

std::vector<TransactionState> all_states() {
    std::vector<TransactionState> states;
    for (std::size_t i = 0; i < transaction_state_count; ++i) {
        states.push_back(static_cast<TransactionState>(i));
    }
    return states;
}

TEST(TransactionStates, lead_from_a_head_to_the_last_byte) {
    EXPECT_EQ(step(routing, Event::routed), (TransactionStep{connecting, Action::attempt}));
    EXPECT_EQ(step(connecting, Event::connected), (TransactionStep{awaiting, Action::relay}));
    EXPECT_EQ(step(awaiting, Event::head_passed), (TransactionStep{responding, Action::none}));
    EXPECT_EQ(step(responding, Event::complete), (TransactionStep{over, Action::finish}));
}

// A retry may land on a connection that is open already: it is an attempt like the first, which is relayed as
// soon as it has its connection, and not only when an event comes from one that is being opened.
TEST(TransactionStates, a_repeated_attempt_is_relayed_like_the_first) {
    for (const TransactionState state : {connecting, awaiting}) {
        EXPECT_EQ(step(state, Event::repeatable), (TransactionStep{connecting, Action::retry}));
    }
    EXPECT_TRUE(is_relaying(step(connecting, Event::connected).next));
}

// What a client sends is refused with an answer as long as none was begun, wherever that is found out.
TEST(TransactionStates, a_request_can_be_refused_until_a_head_was_passed_on) {
    for (const TransactionState state : all_states()) {
        if (!is_unanswered(state)) continue;
        EXPECT_EQ(step(state, Event::refused), (TransactionStep{answering, Action::answer})) << name(state);
    }
}

// A second final head can follow no first one; what was begun is completed or cut.
TEST(TransactionStates, one_answer_is_all_that_a_request_gets) {
    for (const TransactionState state : {responding, tunnelling, answering, over}) {
        for (std::size_t event = 0; event < transaction_event_count; ++event) {
            const TransactionStep next = step(state, static_cast<Event>(event));
            EXPECT_TRUE(next.next == state || next.next == over) << name(state) << event;
            EXPECT_NE(next.action, Action::answer) << name(state) << event;
            EXPECT_NE(next.action, Action::fallback) << name(state) << event;
            EXPECT_NE(next.action, Action::retry) << name(state) << event;
        }
    }
}

// A response that was begun is cut by its deadline, which progress puts off; the client that owes its body is
// answered for it, and not the service blamed.
TEST(TransactionStates, a_deadline_falls_on_who_is_late) {
    EXPECT_EQ(step(awaiting, Event::client_late), (TransactionStep{answering, Action::late}));
    EXPECT_EQ(step(awaiting, Event::source_late), (TransactionStep{awaiting, Action::expire}));
    EXPECT_EQ(step(connecting, Event::client_late), (TransactionStep{connecting, Action::expire}));
    EXPECT_EQ(step(settling, Event::source_late), (TransactionStep{settling, Action::expire}));
    for (const TransactionState state : {responding, tunnelling, answering}) {
        EXPECT_EQ(step(state, Event::source_late), (TransactionStep{over, Action::cut})) << name(state);
    }
}

// An answer that does not wait for the upload ends the transaction as any other; what follows is the
// downstream's to read and drop.
TEST(TransactionStates, an_answer_may_be_complete_before_its_request) {
    EXPECT_EQ(step(answering, Event::complete), (TransactionStep{over, Action::finish}));
    EXPECT_EQ(step(answering, Event::body_refused), (TransactionStep{over, Action::cut}));
}

TEST(TransactionStates, a_client_that_is_gone_ends_all_but_the_end) {
    for (const TransactionState state : all_states()) {
        if (state == over) continue;
        EXPECT_EQ(step(state, Event::client_gone), (TransactionStep{over, Action::abandon})) << name(state);
    }
}

TEST(TransactionStates, nothing_follows_the_end) {
    for (std::size_t event = 0; event < transaction_event_count; ++event) {
        EXPECT_EQ(step(over, static_cast<Event>(event)), (TransactionStep{over, Action::none})) << event;
    }
}

// Each state can be left by a deadline, so that nothing waits for ever; routing takes no time.
TEST(TransactionStates, none_waits_without_an_end) {
    for (const TransactionState state : all_states()) {
        if (state == over || state == routing) continue;
        EXPECT_NE(step(state, Event::source_late).action, Action::none) << name(state);
    }
}

}  // namespace
}  // namespace havn::gateway
