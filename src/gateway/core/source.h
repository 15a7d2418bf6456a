// What produces a response: an instance of a service, a queue that takes a job, the gateway itself. The
// transaction does not know which.
//
// A source is given a request by begin() and its body by put(), piece by piece, and is read from until the
// response is over. It waits for nothing: what cannot be done now says `waiting`, and the user is told by
// on_source_ready() when something has changed. One source serves one request at a time; release() makes it
// ready for the next one, and may be called at any time.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "gateway/core/downstream.h"
#include "gateway/core/policy/retry.h"
#include "gateway/core/tables.h"

namespace havn::gateway {

class OwnAnswer;

class SourceUser {
  public:
    virtual void on_source_ready() = 0;

  protected:
    ~SourceUser() = default;
};

class Source {
  public:
    // What became of beginning an attempt.
    enum class Begun : std::uint8_t {
        connected,
        connecting,  // connect() tells when it is done
        failed,      // failure() says why; there is nobody left to try
        answer,      // the gateway answers itself: explain()
    };
    // What was found when the source was looked at.
    enum class Found : std::uint8_t {
        waiting,    // nothing without another event
        progress,   // something moved: look again
        interim,    // a head with a status below 200
        head,       // the head of the response
        switched,   // the head of a 101: a tunnel from here on
        body,       // a piece of the body
        aborted,    // a tunnel's far end is gone for both directions
        failed,     // before a head was found: failure() says how
        broken,     // within the body: it cannot be completed
        delivered,  // the source has the whole request, and answers until deadline()
        answer,     // the gateway answers itself: explain()
    };

    // Request, route entry and user stay until release(); `user` is told of events, never from within a call.
    // `repeatable`: the method is idempotent, and all of the body is at hand.
    virtual Begun begin(const Request& request, const RouteEntry& entry, bool repeatable,
                        SourceUser& user) = 0;

    // Another attempt after one that failed, where `next` says.
    virtual Begun begin_again(Next next) = 0;

    virtual Found connect() = 0;  // waiting, progress (connected) or failed

    virtual Found put(const Piece& piece) = 0;  // while has_unsent() is false
    virtual bool has_unsent() const = 0;
    virtual Flushed flush() = 0;
    virtual Found end_request() = 0;  // once, when all of it was put and sent
    virtual void half_close() = 0;    // of a tunnel: its client has said everything

    // Fills `response` for interim, head, switched and body.
    virtual Found read(Response& response) = 0;

    // The head that was read is passed on: whoever answered did well.
    virtual void head_passed() = 0;

    // It may be silent for long from now on, and must be known to be there.
    virtual void expect_silence() = 0;

    // The time for what it is doing has passed: failed or answer.
    virtual Found expire() = 0;
    virtual Time deadline() const = 0;  // after `delivered`

    // Of the attempt that failed: why, and what decides whether it may be repeated.
    virtual Failure failure() const = 0;
    virtual Attempt attempt() const = 0;
    virtual void attempt_failed(Failure failure, bool blames) = 0;

    virtual void explain(OwnAnswer& answer) const = 0;

    // It is done with, or given up. `complete`: request and response are whole, so that a connection may
    // serve another request.
    virtual void release(bool complete) = 0;

    virtual std::string_view address() const = 0;  // for the log: who answered, or was tried last

  protected:
    ~Source() = default;
};

}  // namespace havn::gateway
