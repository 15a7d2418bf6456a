// When a process that died is started again.
//
// A good life (it was ready, and lived for `startsecs`, at least 100 ms) is followed by the next one at once.
// So is a bad life, as long as at most `startretries` of them ended within `window`. After that each further
// bad life doubles the pause, from `pause_min` to `pause_max`, of which a random part (up to half) is taken
// off so that instances which fail together do not retry together. It never gives up; a good life makes
// everything forgotten.
//
// Lives that are good but end all the same are counted too: from the one after `restarts_max` ends within
// `window` on, every end has its pause as well, until one life lasted for the whole of `window`.
#pragma once

#include <cstdint>
#include <deque>

#include "base/random.h"
#include "base/time.h"

namespace havn::supervisor {

struct RestartLimits {
    std::uint32_t startretries = 3;
    std::uint32_t restarts_max = 10;  // 0: any number
    milliseconds startsecs{1'000};
    milliseconds window{60'000};
    milliseconds pause_min{1'000};
    milliseconds pause_max{60'000};
    bool operator==(const RestartLimits&) const = default;
};

class RestartPolicy {
  public:
    explicit RestartPolicy(RestartLimits limits) : limits_(limits) {}

    // The pause until the next start; zero is "at once".
    milliseconds after_life(bool was_ready, Duration lived, Time now, Random& random);

    // How many ends had a pause, and whether good lives came to have one; kept across a restart of the
    // supervisor.
    std::uint32_t slow_retries() const { return slow_retries_; }
    bool too_often() const { return too_often_; }
    void restore(std::uint32_t slow_retries, bool too_often) {
        slow_retries_ = slow_retries;
        too_often_ = too_often;
    }
    bool operator==(const RestartPolicy&) const = default;

  private:
    void forget();

    RestartLimits limits_;
    std::deque<Time> failures_;   // ends of bad lives within the window, oldest first
    std::deque<Time> good_ends_;  // of good ones
    std::uint32_t slow_retries_ = 0;
    bool too_often_ = false;
};

}  // namespace havn::supervisor
