#include "gateway/core/tables.h"

#include <optional>
#include <utility>

namespace havn::gateway {

Tables::Tables(std::shared_ptr<const Config> the_config, Clusters& clusters, Metrics& metrics)
    : config(std::move(the_config)), routes(config->routes) {
    for (const Route& route : config->routes) {
        RouteEntry entry;
        entry.route = &route;
        entry.label = route.host + route.path;
        entry.metrics = &metrics.route(entry.label);
        if (route.service.empty()) {
            entry.queue = &metrics.queue(route.queue);
        } else {
            entry.cluster = &clusters.get(route.service);
        }
        entries.push_back(std::move(entry));
    }
    for (const std::string& text : config->trusted_proxies) {
        if (const std::optional<Network> network = parse_network(text)) trusted.push_back(*network);
    }
}

}  // namespace havn::gateway
