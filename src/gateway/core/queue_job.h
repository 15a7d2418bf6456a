// A queue route as a source: the request's body is held until it is whole, published as a job, and answered
// when the broker has confirmed it: 202 with the job's number, or 503 with what is known of its fate.
//
// Memory for the body comes from the thread's share and is given back when the job is settled, refused or
// released. A body that is larger than the route takes is answered 413, one that finds no room 503.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/core/policy/memory.h"
#include "gateway/core/publisher.h"
#include "gateway/core/settings.h"
#include "gateway/core/source.h"
#include "gateway/core/turn/turn_clock.h"

namespace havn::gateway {

class QueueJob final : public Source, private Publisher::Waiter {
  public:
    // Told when a body found no room.
    class Observer {
      public:
        virtual void on_memory_refused() = 0;

      protected:
        ~Observer() = default;
    };
    // What all jobs of a thread use; all of it outlives them.
    struct Environment {
        TurnClock& clock;
        Settings& settings;
        MemoryShare& memory;
        Publisher& publisher;
        Observer& observer;
    };

    explicit QueueJob(const Environment& environment)
        : environment_(environment), held_(environment.memory) {}

    Begun begin(const Request& request, const RouteEntry& entry, bool repeatable, SourceUser& user) override;
    Begun begin_again(Next) override { return Begun::failed; }
    Found connect() override { return Found::progress; }
    Found put(const Piece& piece) override;
    bool has_unsent() const override { return false; }
    Flushed flush() override { return {}; }
    Found end_request() override;
    void half_close() override {}
    Found read(Response& response) override;
    void head_passed() override {}
    void expect_silence() override {}
    Found expire() override;
    Time deadline() const override { return deadline_; }
    Failure failure() const override { return Failure::unavailable; }
    Attempt attempt() const override { return {}; }
    void attempt_failed(Failure, bool) override {}
    void explain(OwnAnswer& answer) const override;
    void release(bool complete) override;
    std::string_view address() const override { return {}; }

  private:
    enum class State : std::uint8_t {
        idle,
        collecting,
        publishing,  // the publisher has the job
        settled,     // outcome_ says how
        too_large,
        no_memory,
        late,  // the body did not come in time
    };

    void on_published(Publisher::Outcome outcome) override;
    Found refuse(State why);
    void settle(Publisher::Outcome outcome);

    const Environment& environment_;
    const Request* request_ = nullptr;   // the downstream's, until release()
    const RouteEntry* entry_ = nullptr;  // of the tables the transaction holds
    SourceUser* user_ = nullptr;         // the transaction
    HeldBytes held_;                     // the body, until it is whole
    std::string blocked_reason_;         // what the broker said when the job was settled
    Time deadline_{};                    // for the confirm
    State state_ = State::idle;
    Publisher::Outcome outcome_ = Publisher::Outcome::confirmed;
    bool invited_ = false;     // the client was asked for its body
    bool in_publish_ = false;  // publish() has not returned
};

}  // namespace havn::gateway
