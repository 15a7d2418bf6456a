// What the threads of the gateway have in common beside their tables: limits that hold for the process.
#pragma once

#include <functional>

#include "gateway/core/policy/admission.h"
#include "gateway/core/policy/alarms.h"
#include "gateway/core/policy/memory.h"

namespace havn::gateway {

class Acceptor;

struct Shared {
    MemoryBudget memory{64u << 20};
    Admission admission;
    Alarms alarms;

    // Asks the other threads to close idle connections too. Safe from any thread.
    std::function<void(const Acceptor& asking, Duration idle)> shed_elsewhere = [](const Acceptor&,
                                                                                   Duration) {};
};

}  // namespace havn::gateway
