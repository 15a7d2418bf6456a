// An address of a service: what the balancer knows of it, its counters, and the idle connections to it. It
// outlives its place in the table until its last request is done.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/core/cluster/balancer.h"
#include "gateway/core/cluster/connector.h"
#include "gateway/core/turn/metrics.h"

namespace havn::gateway {

struct Cluster;
class UpstreamConnection;

class Endpoint : public Candidate {
  public:
    Endpoint(Cluster& cluster, std::string address, std::unique_ptr<Destination> destination);
    ~Endpoint();

    // It is that instance from now on, and is counted as that one.
    void become(std::uint32_t number, std::shared_ptr<InstanceMetrics> counted);

    // Another process may answer at this address from now on: nothing is known of it yet.
    void begin_anew(std::uint64_t new_id);

    void request_begins();
    void request_ends();
    void attempt_failed(Time now);  // by its fault
    void answered();
    void show_ejected();  // whenever `ejected` may have changed

    Cluster& cluster() const { return cluster_; }
    const std::string& address() const { return address_; }
    std::uint32_t instance() const { return instance_; }  // whose weight it has
    Destination& destination() const { return *destination_; }

    bool removed() const { return removed_by.has_value(); }

    std::optional<std::uint64_t> removed_by;                // the version of the table that dropped it
    std::vector<std::unique_ptr<UpstreamConnection>> idle;  // the last one used is used first

  private:
    void leave_metrics();

    Cluster& cluster_;  // it owns this endpoint
    std::string address_;
    std::unique_ptr<Destination> destination_;
    std::uint32_t instance_ = 1;
    std::shared_ptr<InstanceMetrics> metrics_;
    bool ejected_shown_ = false;
};

// A service and where it runs.
struct Cluster {
    std::string name;
    UpstreamConfig settings;
    ServiceMetrics* metrics = nullptr;                 // owned by the thread's Metrics, which live longer
    std::vector<std::unique_ptr<Endpoint>> endpoints;  // those that left the table included
    std::vector<Candidate*> candidates;                // the endpoints in the table, in its order

    HealthRule health() const { return {settings.max_fails, settings.fail_timeout}; }
};

}  // namespace havn::gateway
