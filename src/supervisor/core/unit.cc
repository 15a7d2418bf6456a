#include "supervisor/core/unit.h"

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
    if (unit.role == Role::platform) {
        limits.window = milliseconds(10'000);
        limits.pause_min = milliseconds(100);
        limits.pause_max = milliseconds(5'000);
    }
    return limits;
}

}  // namespace havn::supervisor
