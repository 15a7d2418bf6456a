#include "supervisor/core/unit.h"

#include <algorithm>

namespace havn::supervisor {

std::string_view name(Role role) {
    switch (role) {
        case Role::platform:
            return "platform";
        case Role::service:
            return "service";
        case Role::worker:
            return "worker";
    }
    return "service";
}

RestartLimits restart_limits(const Unit& unit) {
    RestartLimits limits;
    limits.startretries = unit.program->startretries;
    limits.startsecs = unit.program->startsecs;
    limits.restarts_max = std::max(limits.restarts_max, unit.program->startretries);
    if (unit.role == Role::platform) {
        limits.window = milliseconds(10'000);
        limits.restarts_max = 0;
        limits.pause_min = milliseconds(100);
        limits.pause_max = milliseconds(5'000);
    }
    return limits;
}

std::size_t stop_rank(const Unit& unit) {
    if (unit.role == Role::worker || unit.name == "gateway") return 0;
    if (unit.role == Role::service) return 1;
    return unit.name == "broker" ? 2 : 3;
}

}  // namespace havn::supervisor
