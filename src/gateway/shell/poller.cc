#include "gateway/shell/poller.h"

#include <algorithm>
#include <cerrno>

#include "base/assert.h"

namespace havn::gateway {

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), events_(512) {
    HAVN_ASSERT(static_cast<bool>(epoll_), "a thread has its epoll");
}

Result<> Poller::add(int fd, Pollable& target, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &target;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno("epoll");
    return {};
}

void Poller::remove(int fd) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Poller::wait(milliseconds timeout) {
    next_ = 0;
    count_ = ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()),
                          static_cast<int>(timeout.count()));
    if (count_ < 0) {
        HAVN_ASSERT(errno == EINTR, "waiting for events works");
        count_ = 0;
    }
}

void Poller::dispatch() {
    while (next_ < count_) {
        const epoll_event event = events_[static_cast<std::size_t>(next_++)];
        if (event.data.ptr) static_cast<Pollable*>(event.data.ptr)->on_ready(event.events);
    }
}

void Poller::forget(const Pollable& target) {
    for (int i = next_; i < count_; ++i) {
        epoll_event& event = events_[static_cast<std::size_t>(i)];
        if (event.data.ptr == &target) event.data.ptr = nullptr;
    }
}

}  // namespace havn::gateway
