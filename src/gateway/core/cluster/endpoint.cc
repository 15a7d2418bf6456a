#include "gateway/core/cluster/endpoint.h"

#include <utility>

#include "base/assert.h"
#include "gateway/core/cluster/upstream_connection.h"

namespace havn::gateway {

Endpoint::Endpoint(Cluster& cluster, std::string address, std::unique_ptr<Destination> destination)
    : cluster_(cluster), address_(std::move(address)), destination_(std::move(destination)) {}

Endpoint::~Endpoint() {
    leave_metrics();
}

void Endpoint::leave_metrics() {
    if (!metrics_) return;
    metrics_->in_flight.subtract(in_flight);
    if (std::exchange(ejected_shown_, false)) metrics_->ejected.subtract();
}

void Endpoint::become(std::uint32_t number, std::shared_ptr<InstanceMetrics> counted) {
    leave_metrics();
    instance_ = number;
    metrics_ = std::move(counted);
    metrics_->in_flight.add(in_flight);
    show_ejected();
}

void Endpoint::begin_anew(std::uint64_t new_id) {
    removed_by.reset();
    id = new_id;
    ejected = false;
    fails = 0;
}

void Endpoint::request_begins() {
    ++in_flight;
    metrics_->in_flight.add();
    metrics_->requests.add();
}

void Endpoint::request_ends() {
    HAVN_ASSERT(in_flight > 0, "every request is counted once");
    --in_flight;
    metrics_->in_flight.subtract();
}

void Endpoint::attempt_failed(Time now) {
    metrics_->failures.add();
    note_failure(*this, cluster_.health(), now);
    show_ejected();
}

void Endpoint::answered() {
    note_success(*this);
    show_ejected();
}

void Endpoint::show_ejected() {
    if (ejected == ejected_shown_) return;
    ejected_shown_ = ejected;
    if (ejected) {
        metrics_->ejected.add();
    } else {
        metrics_->ejected.subtract();
    }
}

}  // namespace havn::gateway
