#include "gateway/core/cluster/upstream_connection.h"

#include "gateway/core/cluster/clusters.h"

namespace havn::gateway {

bool UpstreamConnection::open() {
    transport_ = endpoint_.destination().connect(*this);
    return transport_ != nullptr;
}

void UpstreamConnection::on_transport_ready() {
    if (user_) {
        user_->on_upstream_ready();
    } else if (transport_->readable()) {
        clusters_.discard_idle(*this);
    }
}

}  // namespace havn::gateway
