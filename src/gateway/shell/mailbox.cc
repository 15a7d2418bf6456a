#include "gateway/shell/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "base/assert.h"

namespace havn::gateway {

Mailbox::Mailbox(Poller& poller) : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    const Result<> added = poller.add(event_.get(), *this, Poller::level);
    HAVN_ASSERT(added.has_value(), "a thread can be woken");
}

void Mailbox::on_ready(std::uint32_t) {
    std::uint64_t count;
    (void)!::read(event_.get(), &count, sizeof count);
    std::vector<std::function<void()>> jobs;
    {
        const std::lock_guard lock(mutex_);
        jobs.swap(jobs_);
    }
    for (const std::function<void()>& job : jobs) job();
}

void Mailbox::post(std::function<void()> job) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    const std::uint64_t one = 1;
    (void)!::write(event_.get(), &one, sizeof one);
}

}  // namespace havn::gateway
