// The services as one thread sees them: their endpoints, and the connections to those.
//
// A request that is counted at an endpoint (Endpoint::request_begins) keeps it there until request_done().
// Whoever takes a connection gives it back with release().
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/core/cluster/endpoint.h"
#include "gateway/core/cluster/upstream_connection.h"
#include "gateway/core/turn/metrics.h"
#include "gateway/core/turn/retired.h"

namespace havn::gateway {

class Clusters {
  public:
    struct Entry {
        std::string address;
        std::uint32_t instance = 1;
    };
    using Table = std::map<std::string, std::vector<Entry>>;  // by the name of the service

    class Observer {
      public:
        // An endpoint left the table, and nothing uses it any more.
        virtual void on_drained(const std::string& address, std::uint64_t removed_by) = 0;

      protected:
        ~Observer() = default;
    };

    // All of them outlive it.
    Clusters(Connector& connector, Metrics& metrics, Retired& retired, Observer& observer)
        : connector_(connector), metrics_(metrics), retired_(retired), observer_(observer) {}

    // A cluster is there from the first time it is named, with or without endpoints, and stays.
    Cluster& get(const std::string& name);
    void configure(const std::vector<UpstreamConfig>& upstreams);

    // The whole table. Endpoints that stay keep their connections and their health.
    void set_endpoints(const Table& table, std::uint64_t version);

    // An idle connection (unless `fresh`), or a new one that may still be opening. Null: refused at once.
    std::unique_ptr<UpstreamConnection> acquire(Endpoint& endpoint, UpstreamConnection::User& user,
                                                bool fresh);

    // Back to the pool, or closed.
    void release(std::unique_ptr<UpstreamConnection> connection, bool reusable);
    void discard_idle(UpstreamConnection& connection);

    // A request that was counted at the endpoint is over.
    void request_done(Endpoint& endpoint);

    // Connections that wait in pools.
    std::size_t idle_connections() const;

  private:
    void set_endpoints_of(Cluster& cluster, const std::vector<Entry>& entries, std::uint64_t version);
    Endpoint* known_or_new(Cluster& cluster, const Entry& entry);
    void remove_endpoint(Endpoint& endpoint, std::uint64_t version);
    void destroy_if_unused(Endpoint& endpoint);
    void close(std::unique_ptr<UpstreamConnection> connection);

    Connector& connector_;
    Metrics& metrics_;
    Retired& retired_;
    Observer& observer_;
    std::map<std::string, std::unique_ptr<Cluster>> clusters_;
    std::uint64_t endpoints_made_ = 0;
};

}  // namespace havn::gateway
