// Whether a request that failed at one endpoint may go to another. RFC 9110 §9.2.2.
#pragma once

namespace havn::gateway {

struct Attempt {
    bool bytes_sent = false;        // any byte of the request left
    bool response_started = false;  // any byte of a response came
    bool idempotent = false;        // of the method
    bool body_replayable = false;   // none, or all of it is still at hand
    bool client_served = false;     // any byte (1xx too) went to the client
};

// Nothing was sent: anything may be sent again. Otherwise only what does no harm twice.
constexpr bool may_retry(const Attempt& attempt) {
    if (attempt.client_served || attempt.response_started) return false;
    if (!attempt.bytes_sent) return true;
    return attempt.idempotent && attempt.body_replayable;
}

}  // namespace havn::gateway
