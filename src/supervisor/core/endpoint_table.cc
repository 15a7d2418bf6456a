#include "supervisor/core/endpoint_table.h"

#include <algorithm>
#include <utility>

namespace havn::supervisor {

void EndpointTable::want(const std::string& service) {
    if (!wanted_.insert(service).second) return;
    if (!endpoints_.services.try_emplace(service).second) return;
    services_changed_ = true;
}

void EndpointTable::unwant(const std::string& service) {
    if (wanted_.erase(service) == 0) return;
    const auto found = endpoints_.services.find(service);
    if (found == endpoints_.services.end() || !found->second.empty()) return;
    endpoints_.services.erase(found);
    services_changed_ = true;
}

void EndpointTable::join(const std::string& service, Endpoint endpoint) {
    changes_.push_back({service, std::move(endpoint), true});
}

void EndpointTable::leave(const std::string& service, Endpoint endpoint) {
    changes_.push_back({service, std::move(endpoint), false});
}

bool EndpointTable::settle() {
    bool is_new = std::exchange(services_changed_, false);
    for (const Change& change : std::exchange(changes_, {})) {
        std::vector<Endpoint>& list = endpoints_.services[change.service];
        const auto [first, last] =
            std::ranges::equal_range(list, change.endpoint.instance, {}, &Endpoint::instance);
        const auto found = std::ranges::find(first, last, change.endpoint);
        const bool is_there = found != last;
        is_new |= change.joins != is_there;
        if (change.joins && !is_there) list.insert(last, change.endpoint);
        if (!change.joins && is_there) list.erase(found);
        if (list.empty() && !wanted_.contains(change.service)) endpoints_.services.erase(change.service);
    }
    if (is_new) ++endpoints_.version;
    return is_new;
}

}  // namespace havn::supervisor
