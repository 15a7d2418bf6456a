#include "supervisor/logs/foreground.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace havn::supervisor {

struct Foreground::State {
    State(io::Executor executor, int shared) : executor(executor), timer(executor) {
        struct stat status{};
        const std::string path = "/proc/self/fd/" + std::to_string(shared);
        const bool reopens =
            ::fstat(shared, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode));
        if (reopens) own.reset(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        fd = own ? own.get() : shared;
    }

    // False when the reader does not take more now. A description we could not make non-blocking is asked
    // first, and given no more than a pipe that is writable is sure to take.
    bool write_some() {
        while (!kept.empty()) {
            const std::size_t size = own ? kept.size() : std::min<std::size_t>(kept.size(), PIPE_BUF);
            pollfd poll{fd, POLLOUT, 0};
            if (!own && ::poll(&poll, 1, 0) <= 0) return false;
            const ssize_t written = ::write(fd, kept.data(), size);
            if (written >= 0) {
                kept.erase(0, static_cast<std::size_t>(written));
            } else if (errno == EAGAIN) {
                return false;
            } else if (errno != EINTR) {
                kept.clear();  // the reader is gone for good
            }
        }
        return true;
    }

    static io::Task<void> wait_and_write(std::shared_ptr<State> self) {
        while (!self->write_some() || self->dropped > 0) {
            if (self->kept.empty()) {
                self->kept =
                    fmt::format("{:<14} | {} lines were not shown, nobody read them in time; see logs/\n",
                                "supervisor", std::exchange(self->dropped, 0));
                continue;
            }
            self->timer.expires_after(milliseconds(50));
            co_await self->timer.async_wait(io::result);
        }
        self->waiting = false;
    }

    io::Executor executor;
    io::Timer timer;
    io::Fd own;
    int fd = -1;
    std::string kept;
    std::size_t dropped = 0;
    bool waiting = false;
};

Foreground::Foreground(io::Executor executor, int fd) : state_(std::make_shared<State>(executor, fd)) {}

void Foreground::line(std::string_view label, std::string_view text) {
    if (state_->kept.size() + label.size() + text.size() > kept_bytes_max) {
        ++state_->dropped;
        return;
    }
    state_->kept += fmt::format("{:<14} | {}\n", label, text);
    flush();
}

void Foreground::flush() {
    if (state_->waiting || state_->write_some()) return;
    state_->waiting = true;
    io::asio::co_spawn(state_->executor, State::wait_and_write(state_), io::asio::detached);
}

}  // namespace havn::supervisor
