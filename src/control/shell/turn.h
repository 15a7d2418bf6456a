// One at a time, in the order of asking: what guards a change that takes several steps to make.
//
// take() waits until it is the caller's turn, or for the time limit; it returns whether the turn is the
// caller's, who then gives it back exactly once. One thread.
#pragma once

#include <deque>
#include <memory>

#include "base/assert.h"
#include "base/time.h"
#include "io/asio.h"

namespace havn::control {

class Turn {
  public:
    Turn(io::Executor executor, Duration limit) : executor_(executor), limit_(limit) {}

    io::Task<bool> take() {
        if (!taken_) {
            taken_ = true;
            co_return true;
        }
        auto waiter = std::make_shared<Waiter>(io::Timer(executor_, limit_));
        waiting_.push_back(waiter);
        [[maybe_unused]] auto woken = co_await waiter->timer.async_wait(io::result);
        if (!waiter->has_turn) std::erase(waiting_, waiter);
        co_return waiter->has_turn;
    }

    // The next in the queue has it; nobody else is woken.
    void give_back() {
        HAVN_ASSERT(taken_, "only whoever has the turn gives it back");
        taken_ = !waiting_.empty();
        if (!taken_) return;
        const std::shared_ptr<Waiter> next = waiting_.front();
        waiting_.pop_front();
        next->has_turn = true;
        next->timer.cancel();
    }

    std::size_t waiting() const { return waiting_.size(); }

  private:
    struct Waiter {
        explicit Waiter(io::Timer made) : timer(std::move(made)) {}
        io::Timer timer;
        bool has_turn = false;
    };

    io::Executor executor_;
    Duration limit_;
    bool taken_ = false;
    std::deque<std::shared_ptr<Waiter>> waiting_;
};

}  // namespace havn::control
