// What a failed attempt at an endpoint leads to: one table, one function. RFC 9110 §9.2.2.
//
// Pure: the caller says what happened and does what is said. Deadlines are the caller's too: past the
// deadline of the transaction nothing is tried again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace havn::gateway {

enum class Failure : std::uint8_t {
    none,
    connect,      // no connection to the endpoint
    timeout,      // it did not answer in time
    closed,       // it ended the connection before its answer's head was whole
    malformed,    // its answer is no HTTP
    interim,      // it sent more interim responses than `interim_max`
    unavailable,  // there was no endpoint to try
};

struct FailureRow {
    bool retried;  // ever
    bool blames;   // counts against the endpoint
};
inline constexpr std::array<FailureRow, 7> failures{{
    {false, false},  // none
    {true, true},    // connect
    {false, true},   // timeout: the endpoint may be at work on it still
    {true, true},    // closed
    {false, true},   // malformed: an answer of a kind
    {false, true},   // interim
    {false, false},  // unavailable
}};

constexpr const FailureRow& row(Failure failure) {
    return failures[static_cast<std::size_t>(failure)];
}

struct Attempt {
    Failure failure = Failure::none;
    bool reused = false;            // on a connection that had served another request
    bool bytes_sent = false;        // any byte of the request left
    bool response_started = false;  // any byte of a response came
    bool idempotent = false;        // of the method
    bool body_replayable = false;   // none, or all of it is still at hand
    bool client_served = false;     // any byte (1xx too) went to the client
};

enum class Next : std::uint8_t {
    give_up,
    same_endpoint,   // on a connection of its own: the kept one had ended meanwhile
    other_endpoint,  // one that was not tried yet
};

struct Verdict {
    Next next = Next::give_up;
    bool blames = false;
    bool operator==(const Verdict&) const = default;
};

// Nothing was sent: anything may be sent again. Otherwise only what does no harm twice, and nothing of which
// the client saw an answer.
constexpr bool is_repeatable(const Attempt& attempt) {
    if (attempt.client_served || attempt.response_started) return false;
    return !attempt.bytes_sent || (attempt.idempotent && attempt.body_replayable);
}

constexpr Verdict judge(const Attempt& attempt) {
    const bool stale = attempt.failure == Failure::closed && attempt.reused && !attempt.response_started;
    const bool blames = row(attempt.failure).blames && !stale;
    if (!row(attempt.failure).retried || !is_repeatable(attempt)) return {Next::give_up, blames};
    return {stale ? Next::same_endpoint : Next::other_endpoint, blames};
}

}  // namespace havn::gateway
