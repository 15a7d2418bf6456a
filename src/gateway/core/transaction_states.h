// The life of a transaction as a table: in which state what leads where, and what is to be done then.
//
// A transaction takes one request from its whole head to the last byte of its response. `step` is a pure
// look-up; an event that means nothing in a state leaves it as it is. The transaction decides when each event
// has come, and performs the action; see transaction.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace havn::gateway {

enum class TransactionState : std::uint8_t {
    routing,     // no source was chosen yet
    connecting,  // an attempt is under way, without a connection yet
    awaiting,    // the source takes the request; no final head has come
    settling,    // the source has the whole request and a time of its own to answer: a job and its confirm
    responding,  // a final head was passed on
    tunnelling,  // both sides have left HTTP
    answering,   // the gateway says it itself
    over,
};
inline constexpr std::size_t transaction_state_count = 8;

enum class TransactionEvent : std::uint8_t {
    refused,       // the gateway is to answer itself: the request is not served, or a source says so
    routed,        // a source was chosen
    connected,     // the attempt has its connection
    repeatable,    // the attempt failed, and another one does no harm
    failed,        // the attempt failed for good
    delivered,     // the source has the whole request, and answers in a time of its own
    head_passed,   // a final head is on its way to the client
    switched,      // so is a 101
    complete,      // the last byte of the response was sent
    broken,        // the source ended within the response
    client_gone,   // nobody is there to be answered
    body_refused,  // the request's body breaks a rule of its framing
    client_late,   // the deadline passed while the client owed its body
    source_late,   // the deadline passed otherwise
};
inline constexpr std::size_t transaction_event_count = 14;

enum class TransactionAction : std::uint8_t {
    none,
    attempt,   // begin at the source
    relay,     // the attempt goes on: its deadline is that of silence from now on
    retry,     // begin another attempt
    fallback,  // answer for the failure: the route's fallback, or an error
    answer,    // answer what was found
    refuse,    // answer 400 or what the broken rule of the body says
    late,      // answer 408
    expire,    // ask the source what its lateness means
    settle,    // wait for the source until its own deadline
    cut,       // end the response so that the client sees that it is incomplete
    abandon,   // give up the source, and end
    finish,    // end, and keep what can be kept
};

struct TransactionStep {
    TransactionState next;
    TransactionAction action;
    bool operator==(const TransactionStep&) const = default;
};

TransactionStep step(TransactionState state, TransactionEvent event);

// A source is being read from and written to.
constexpr bool is_relaying(TransactionState state) {
    return state >= TransactionState::awaiting && state <= TransactionState::tunnelling;
}

// Nothing of a final head was passed on.
constexpr bool is_unanswered(TransactionState state) {
    return state <= TransactionState::settling;
}

std::string_view name(TransactionState state);

}  // namespace havn::gateway
