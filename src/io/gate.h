// Refuse new work, wait for the old: the two halves of an orderly stop.
//
// Every piece of work holds the gate while it runs. close() makes hold() refuse; `co_await closed()` returns
// once the last holder is gone. A gate must be empty when it is destroyed.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "io/asio.h"

namespace havn::io {

class Gate {
  public:
    explicit Gate(Executor executor) : emptied_(executor, Time::max()) {}
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() { HAVN_ASSERT(holders_ == 0, "a gate outlives its holders"); }

    class Holder {
      public:
        explicit Holder(Gate& gate) : gate_(&gate) { ++gate.holders_; }
        Holder(Holder&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
        Holder& operator=(Holder&&) = delete;
        ~Holder() {
            if (gate_ && --gate_->holders_ == 0 && gate_->closing_) gate_->emptied_.cancel();
        }

      private:
        Gate* gate_;
    };

    // Empty once closing began.
    std::optional<Holder> hold() {
        if (closing_) return std::nullopt;
        return std::optional<Holder>(std::in_place, *this);
    }
    void close() { closing_ = true; }
    bool closing() const { return closing_; }
    std::size_t holders() const { return holders_; }

    // close() must have been called.
    Task<void> closed() {
        while (holders_ > 0) co_await emptied_.async_wait(result);
    }

  private:
    Timer emptied_;  // never expires; cancelled when the last holder leaves
    std::size_t holders_ = 0;
    bool closing_ = false;
};

}  // namespace havn::io
