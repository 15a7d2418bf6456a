#include "gateway/core/cluster/clusters.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace havn::gateway {
namespace {

void apply_weights(Cluster& cluster) {
    const std::vector<std::uint32_t>& weights = cluster.settings.weights;
    for (Candidate* candidate : cluster.candidates) {
        const std::uint32_t instance = static_cast<Endpoint*>(candidate)->instance();
        candidate->weight = instance <= weights.size() ? weights[instance - 1] : 1;
    }
}

}  // namespace

Cluster& Clusters::get(const std::string& name) {
    std::unique_ptr<Cluster>& cluster = clusters_[name];
    if (!cluster) {
        cluster = std::make_unique<Cluster>();
        cluster->name = cluster->settings.name = name;
        cluster->metrics = &metrics_.service(name);
    }
    return *cluster;
}

void Clusters::configure(const std::vector<UpstreamConfig>& upstreams) {
    for (const UpstreamConfig& upstream : upstreams) {
        Cluster& cluster = get(upstream.name);
        cluster.settings = upstream;
        apply_weights(cluster);
    }
}

void Clusters::set_endpoints(const Table& table, std::uint64_t version) {
    for (const auto& [name, entries] : table) get(name);
    for (auto& [name, cluster] : clusters_) {
        const auto row = table.find(name);
        set_endpoints_of(*cluster, row == table.end() ? std::vector<Entry>() : row->second, version);
    }
    metrics_.forget_gone_instances();
}

void Clusters::set_endpoints_of(Cluster& cluster, const std::vector<Entry>& entries, std::uint64_t version) {
    std::vector<Endpoint*> gone;
    for (const std::unique_ptr<Endpoint>& endpoint : cluster.endpoints) {
        const bool stays = std::ranges::find(entries, endpoint->address(), &Entry::address) != entries.end();
        if (!stays && !endpoint->removed()) gone.push_back(endpoint.get());
    }
    cluster.candidates.clear();
    for (const Entry& entry : entries) {
        if (Endpoint* const endpoint = known_or_new(cluster, entry)) cluster.candidates.push_back(endpoint);
    }
    apply_weights(cluster);
    for (Endpoint* endpoint : gone) remove_endpoint(*endpoint, version);
}

// Null when the address is none.
Endpoint* Clusters::known_or_new(Cluster& cluster, const Entry& entry) {
    auto known = std::ranges::find(cluster.endpoints, entry.address, &Endpoint::address);
    const bool is_new = known == cluster.endpoints.end();
    if (is_new) {
        Result<std::unique_ptr<Destination>> destination = connector_.destination(entry.address);
        if (!destination) {
            log::error("service {}: {}", cluster.name, destination.error().text());
            return nullptr;
        }
        known = cluster.endpoints.insert(
            known, std::make_unique<Endpoint>(cluster, entry.address, std::move(*destination)));
    }
    Endpoint& endpoint = **known;
    if (is_new || endpoint.removed()) endpoint.begin_anew(++endpoints_made_);
    if (is_new || endpoint.instance() != entry.instance) {
        endpoint.become(entry.instance, metrics_.instance(cluster.name, entry.instance));
    }
    endpoint.show_ejected();
    return &endpoint;
}

void Clusters::remove_endpoint(Endpoint& endpoint, std::uint64_t version) {
    endpoint.removed_by = version;
    while (!endpoint.idle.empty()) discard_idle(*endpoint.idle.back());
    destroy_if_unused(endpoint);
}

void Clusters::destroy_if_unused(Endpoint& endpoint) {
    if (!endpoint.removed() || endpoint.in_flight > 0) return;
    observer_.on_drained(endpoint.address(), *endpoint.removed_by);
    std::vector<std::unique_ptr<Endpoint>>& all = endpoint.cluster().endpoints;
    all.erase(std::ranges::find(all, &endpoint, &std::unique_ptr<Endpoint>::get));
}

std::unique_ptr<UpstreamConnection> Clusters::acquire(Endpoint& endpoint, UpstreamConnection::User& user,
                                                      bool fresh) {
    std::unique_ptr<UpstreamConnection> connection;
    if (!fresh && !endpoint.idle.empty()) {
        connection = std::move(endpoint.idle.back());
        endpoint.idle.pop_back();
        connection->note_reused();
    } else {
        connection = std::make_unique<UpstreamConnection>(*this, endpoint);
        endpoint.cluster().metrics->connects.add();
        if (!connection->open()) return nullptr;
    }
    connection->set_user(&user);
    return connection;
}

void Clusters::release(std::unique_ptr<UpstreamConnection> connection, bool reusable) {
    Endpoint& endpoint = connection->endpoint();
    connection->set_user(nullptr);
    const bool room = endpoint.idle.size() < endpoint.cluster().settings.keepalive;
    if (reusable && room && !endpoint.removed() && !connection->transport().readable()) {
        endpoint.idle.push_back(std::move(connection));
    } else {
        close(std::move(connection));
    }
}

void Clusters::discard_idle(UpstreamConnection& connection) {
    std::vector<std::unique_ptr<UpstreamConnection>>& idle = connection.endpoint().idle;
    const auto found = std::ranges::find(idle, &connection, &std::unique_ptr<UpstreamConnection>::get);
    std::unique_ptr<UpstreamConnection> owned = std::move(*found);
    idle.erase(found);
    close(std::move(owned));
}

void Clusters::close(std::unique_ptr<UpstreamConnection> connection) {
    connection->transport().close();
    retired_.add(std::move(connection));
}

void Clusters::request_done(Endpoint& endpoint) {
    endpoint.request_ends();
    destroy_if_unused(endpoint);
}

std::size_t Clusters::idle_connections() const {
    std::size_t count = 0;
    for (const auto& [name, cluster] : clusters_) {
        for (const std::unique_ptr<Endpoint>& endpoint : cluster->endpoints) count += endpoint->idle.size();
    }
    return count;
}

}  // namespace havn::gateway
