// When a process that died is started again.
//
// A good life (it was ready, and lived for `startsecs`, at least 100 ms) is followed by the next one at once.
// So is a bad life, as long as at most `startretries` of them ended within `window`. After that each further
// bad life doubles the pause, from `pause_min` to `pause_max`, of which a random part (up to half) is taken
// off so that instances which fail together do not retry together. It never gives up; a good life makes
// everything forgotten.
#pragma once

#include <cstdint>
#include <deque>

#include "base/time.h"
#include "supervisor/core/random.h"

namespace havn::supervisor {

struct RestartLimits {
    std::uint32_t startretries = 3;
    milliseconds startsecs{1'000};
    milliseconds window{60'000};
    milliseconds pause_min{1'000};
    milliseconds pause_max{60'000};
};

class RestartPolicy {
  public:
    explicit RestartPolicy(RestartLimits limits) : limits_(limits) {}

    // The pause until the next start; zero is "at once".
    milliseconds after_life(bool was_ready, Duration lived, Time now, Random& random);

    // How many bad lives went beyond startretries; kept across a restart of the supervisor.
    std::uint32_t slow_retries() const { return slow_retries_; }
    void set_slow_retries(std::uint32_t count) { slow_retries_ = count; }

  private:
    RestartLimits limits_;
    std::deque<Time> failures_;  // within the window, oldest first
    std::uint32_t slow_retries_ = 0;
};

}  // namespace havn::supervisor
