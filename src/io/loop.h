// One thread's event loop, and how a coroutine is set going on it.
#pragma once

#include "io/asio.h"

namespace havn::io {

class Loop {
  public:
    Loop() : context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO) {}
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void run() { context_.run(); }
    void stop() { context_.stop(); }
    asio::io_context& context() { return context_; }
    Executor executor() { return context_.get_executor(); }

    // Runs `task` to its end; an exception that leaves it is a defect and ends the process.
    void spawn(Task<void> task);

    // Runs `function` on the loop's thread, after the present turn. Safe from any thread.
    template <class Function>
    void post(Function function) {
        asio::post(context_, std::move(function));
    }

  private:
    asio::io_context context_;
};

// Suspends the calling coroutine. Returns early, with false, when the timer was cancelled.
Task<bool> sleep_for(Duration duration);

}  // namespace havn::io
