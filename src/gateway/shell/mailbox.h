// Jobs for one thread from the others, run by it in its next turn; it is woken through an eventfd.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "gateway/shell/poller.h"
#include "io/fd.h"

namespace havn::gateway {

class Mailbox final : public Pollable {
  public:
    explicit Mailbox(Poller& poller);  // the thread's, which outlives it
    void on_ready(std::uint32_t events) override;

    // Safe from any thread.
    void post(std::function<void()> job);

  private:
    io::Fd event_;
    std::mutex mutex_;
    std::vector<std::function<void()>> jobs_;
};

}  // namespace havn::gateway
