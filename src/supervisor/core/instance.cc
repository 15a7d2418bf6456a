#include "supervisor/core/instance.h"

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

std::optional<Role> role_from_name(std::string_view text) {
    for (const Role role : {Role::platform, Role::service, Role::worker}) {
        if (name(role) == text) return role;
    }
    return std::nullopt;
}

RestartLimits restart_limits(const Instance& instance) {
    RestartLimits limits;
    limits.startretries = instance.program->startretries;
    limits.startsecs = instance.program->startsecs;
    limits.restarts_max = std::max(limits.restarts_max, instance.program->startretries);
    if (instance.role == Role::platform) {
        limits.window = milliseconds(10'000);
        limits.restarts_max = 0;
        limits.pause_min = milliseconds(100);
        limits.pause_max = milliseconds(5'000);
    }
    return limits;
}

std::size_t stop_rank(const Instance& instance) {
    if (instance.role == Role::worker || instance.name == "gateway") return 0;
    if (instance.role == Role::service) return 1;
    return instance.name == "broker" ? 2 : 3;
}

}  // namespace havn::supervisor
