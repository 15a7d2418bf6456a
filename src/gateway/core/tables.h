// One configuration, resolved for one thread: what a request keeps hold of until it is done.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "contract/gateway.h"
#include "gateway/core/cluster/clusters.h"
#include "gateway/core/policy/route_table.h"
#include "gateway/core/turn/metrics.h"

namespace havn::gateway {

// Clusters and metrics belong to the thread and live as long as it does.
struct RouteEntry {
    const Route* route = nullptr;  // of the configuration, or of the service's listener
    std::string label;             // in logs and metrics: host and path, or "service:NAME"
    Cluster* cluster = nullptr;    // exactly one of cluster and queue
    QueueMetrics* queue = nullptr;
    RouteMetrics* metrics = nullptr;
};

struct Tables {
    Tables(std::shared_ptr<const Config> config, Clusters& clusters, Metrics& metrics);

    const RouteEntry& entry(const Route& route) const {
        return entries[static_cast<std::size_t>(&route - config->routes.data())];
    }

    std::shared_ptr<const Config> config;
    RouteTable routes;
    std::vector<RouteEntry> entries;  // as config->routes
    std::vector<Network> trusted;
};

}  // namespace havn::gateway
