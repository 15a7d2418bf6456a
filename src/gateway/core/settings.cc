#include "gateway/core/settings.h"

#include <algorithm>
#include <utility>

namespace havn::gateway {

Settings::Settings(Clusters& clusters, Metrics& metrics) : clusters_(clusters), metrics_(metrics) {
    set(std::make_shared<const Config>());
}

void Settings::set(std::shared_ptr<const Config> config) {
    headers_.resize(std::max<std::size_t>(config->limits.header_count_max, 256));
    clusters_.configure(config->upstreams);
    for (auto& [name, route] : service_routes_) route->take_deadlines();
    tables_ = std::make_shared<const Tables>(std::move(config), clusters_, metrics_);
}

void Settings::ServiceRoute::take_deadlines() {
    const UpstreamConfig& settings = entry.cluster->settings;
    route.connect_timeout = settings.connect_timeout;
    route.idle_timeout = settings.idle_timeout;
    route.tunnel_timeout = settings.tunnel_timeout;
}

const RouteEntry* Settings::service_route(const std::string& name) {
    std::unique_ptr<ServiceRoute>& known = service_routes_[name];
    if (!known) {
        known = std::make_unique<ServiceRoute>();
        known->route.path = "/";
        known->route.service = name;
        known->entry.route = &known->route;
        known->entry.label = "service:" + name;
        known->entry.cluster = &clusters_.get(name);
        known->entry.metrics = &metrics_.route(known->entry.label);
        known->take_deadlines();
    }
    return &known->entry;
}

}  // namespace havn::gateway
