#include "gateway/core/policy/alarms.h"

#include <fmt/format.h>

namespace havn::gateway {

bool Alarm::raise(Time now) {
    last_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    return !raised_.exchange(true, std::memory_order_relaxed);
}

bool Alarm::active(Time now) const {
    return raised() && now - last() < calm;
}

bool Alarm::calmed_down(Time now) {
    return raised() && !active(now) && raised_.exchange(false, std::memory_order_relaxed);
}

std::array<std::pair<Alarm*, std::string_view>, 5> Alarms::all() {
    return {{{&memory, "request bodies for queues find room again"},
             {&descriptors, "there are descriptors again"},
             {&full, "connections from outside find room again"},
             {&shedding, "no idle connection has to make room any more"},
             {&address, "no address has too many connections any more"}}};
}

std::vector<Shortage> shortages(const Alarms& alarms, const Admission& admission, const MemoryBudget& memory,
                                Time now) {
    std::vector<Shortage> found;
    if (alarms.memory.active(now)) {
        found.push_back({"memory",
                         fmt::format("request bodies for queues fill the memory for them ({} of {} MB): jobs "
                                     "are answered 503; `memory` in [gateway] is the limit",
                                     memory.used() >> 20, memory.limit() >> 20),
                         true});
    }
    if (alarms.descriptors.active(now)) {
        found.push_back({"descriptors",
                         fmt::format("descriptors are short (limit {}): idle connections are closed; raise "
                                     "the limit of open files, or lower max_connections",
                                     admission.descriptors_max()),
                         true});
    }
    if (alarms.full.active(now)) {
        found.push_back({"connections",
                         fmt::format("{} connections from outside are open and none is idle: new ones wait; "
                                     "`max_connections` and the limit of open files bound them",
                                     admission.connections()),
                         true});
    } else if (alarms.shedding.active(now)) {
        found.push_back({"idle connections",
                         fmt::format("{} connections from outside are open, as many as may be: those idle "
                                     "for longest are closed for new ones",
                                     admission.connections())});
    }
    if (alarms.address.active(now)) {
        found.push_back(
            {"address", fmt::format("an address has the {} connections it may have: further ones of it are "
                                    "closed; `havn logs gateway` names it",
                                    admission.per_address_max())});
    }
    return found;
}

}  // namespace havn::gateway
