// One request and its response, from a complete head to the last byte.
//
// A transaction stands between a downstream, which asked, and a source, which answers; it knows neither's
// protocol and touches no socket. What is to happen when is the table of transaction_states.h; this class
// finds out which event has come, and performs the action. Pieces stream in both directions: the next one is
// asked for only when the last one has left, so a slow reader slows its writer and memory stays bounded.
//
// Every path ends in finish(): one line in the log, and the downstream has its connection back.
//
// The owner keeps transactions for the next request: between two of them, reset() is called. All that is
// handed to the constructor outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "gateway/core/downstream.h"
#include "gateway/core/guard.h"
#include "gateway/core/own_answer.h"
#include "gateway/core/settings.h"
#include "gateway/core/source.h"
#include "gateway/core/transaction_states.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/core/turn/log_buffer.h"
#include "gateway/core/turn/turn_clock.h"

namespace havn::gateway {

class Transaction final : public Timer, public SourceUser {
  public:
    // What all transactions of a thread use.
    struct Environment {
        TurnClock& clock;
        Deadlines& deadlines;
        Settings& settings;
        Metrics& metrics;
        LogBuffer& log;
    };
    // Who may answer; of this transaction alone.
    struct Sources {
        Source& service;
        Source& queue;
    };

    Transaction(const Environment& environment, Sources sources)
        : environment_(environment), sources_(sources), own_(environment.clock) {}
    ~Transaction() { environment_.deadlines.clear(*this); }

    // Finds a source for the request and begins there. Nothing is sent yet: run() follows.
    void begin(Downstream& downstream);

    // The same for a request that is not to be served.
    void begin_refused(Downstream& downstream, std::uint16_t status, std::string_view why);

    // Does what can be done now. When that was the last, the downstream has been told.
    void run();

    void client_lost() { on(TransactionEvent::client_gone); }
    void on_deadline() override;
    void on_source_ready() override { downstream_->drive(); }

    TransactionState state() const { return state_; }

    // Ready for another request.
    void reset();

  private:
    using State = TransactionState;
    using Event = TransactionEvent;
    using Action = TransactionAction;

    enum class Upload : std::uint8_t {
        streaming,
        complete,  // all of the request went to the source
        stopped,   // no more will go there, and not all of it did
    };
    enum class Reply : std::uint8_t {
        none,      // no byte was sent to the client
        interim,   // bytes of an interim response were
        begun,     // the final head was handed over
        complete,  // so was the last piece of the body
    };
    // What a look at one direction found: something moved, nothing can, or an event.
    struct Look {
        enum class What : std::uint8_t { moved, waiting, event };
        What what;
        Event event;
    };
    static constexpr Look moved{Look::What::moved, Event::complete};
    static constexpr Look waiting{Look::What::waiting, Event::complete};

    void start(Downstream& downstream);
    void on(Event event);
    void perform(Action action);

    void route();
    bool find_route();
    void refuse(std::uint16_t status, std::string_view cause, std::string_view message,
                std::string_view extra = {});

    void attempt();
    void take_begun(Source::Begun begun);
    Event attempt_failed(Failure failure);
    Look look_of(Source::Found found);
    void drop_attempt();

    void relay();
    Look upload();
    Look download();
    Look pass_head(const Response& response);
    Look pass_interim(const Response& response);
    void pass_body(const Piece& piece);

    void answer();
    void answer_failure();
    void run_answer();
    bool client_owes_body() const;
    void arm();
    void finish(Downstream::End end);
    void record();

    const Environment& environment_;
    Sources sources_;
    OwnAnswer own_;
    Downstream* downstream_ = nullptr;  // from begin() to finish(); it outlives that time
    Source* source_ = nullptr;          // one of sources_, from `routed` until it is released for good
    std::shared_ptr<const Tables> tables_;
    const RouteEntry* entry_ = nullptr;  // of tables_ or of the thread's settings; null until it is found
    Guard guard_;
    Piece first_piece_;  // of the body: what came with the head. Each attempt is given it
    std::string_view cause_;
    std::uint64_t bytes_out_ = 0;  // of the response's body
    std::uint16_t status_ = 0;
    State state_ = State::over;
    Upload upload_ = Upload::streaming;
    Reply reply_ = Reply::none;
    Failure last_failure_ = Failure::none;
    Next next_ = Next::other_endpoint;  // where a repeated attempt goes
    bool read_on_ = false;              // more than the first piece of the body was read
};

}  // namespace havn::gateway
