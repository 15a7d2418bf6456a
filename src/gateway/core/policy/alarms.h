// What a gateway is short of, for all of its threads: said in the log when it begins and when it is over, and
// in /status, from where `havn ps` has it, meanwhile.
//
// Safe from any thread. raise() is called each time something had to be refused or closed; nothing here logs.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "gateway/core/policy/admission.h"
#include "gateway/core/policy/memory.h"

namespace havn::gateway {

// Something that is wrong for a while: said once when it begins and once when it has been over for `calm`.
class Alarm {
  public:
    static constexpr seconds calm{10};

    bool raise(Time now);         // true: this is news
    bool calmed_down(Time now);   // true: it is over, which is news
    bool active(Time now) const;  // raised, and not calm yet
    bool raised() const { return raised_.load(std::memory_order_relaxed); }

  private:
    Time last() const { return Time{Duration(last_.load(std::memory_order_relaxed))}; }

    std::atomic<bool> raised_{false};
    std::atomic<Duration::rep> last_{0};
};

struct Alarms {
    Alarm memory;       // a body for a queue found no room
    Alarm descriptors;  // none was left
    Alarm full;         // a connection from outside waits, for nobody idle could be closed
    Alarm shedding;     // somebody idle was closed for a new connection
    Alarm address;      // an address has as many connections as it may have

    // Each with what is to be said when it is over.
    std::array<std::pair<Alarm*, std::string_view>, 5> all();
};

struct Shortage {
    std::string_view cause;
    std::string message;
    bool unwell = false;  // others than those who caused it are refused something, or wait
};

std::vector<Shortage> shortages(const Alarms& alarms, const Admission& admission, const MemoryBudget& memory,
                                Time now);

}  // namespace havn::gateway
