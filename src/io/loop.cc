#include "io/loop.h"

#include <exception>

#include "base/log.h"

namespace havn::io {

namespace {

void end_of_task(std::exception_ptr error) {
    if (!error) return;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        log::error("a task ended with an exception: {}", exception.what());
    } catch (...) {
        log::error("a task ended with an unknown exception");
    }
    std::abort();
}

}  // namespace

void Loop::spawn(Task<void> task) {
    asio::co_spawn(context_, std::move(task), end_of_task);
}

Task<bool> sleep_for(Duration duration) {
    Executor executor = co_await asio::this_coro::executor;
    Timer timer(executor, duration);
    auto [error] = co_await timer.async_wait(result);
    co_return !error;
}

}  // namespace havn::io
