// A connection to an endpoint: used by one request at a time, or idle in its endpoint's pool. What is said on
// it is its user's business.
#pragma once

#include <memory>

#include "gateway/core/cluster/endpoint.h"
#include "gateway/core/turn/retired.h"

namespace havn::gateway {

class Clusters;

class UpstreamConnection final : public TransportUser, public Retirable {
  public:
    class User {
      public:
        virtual void on_upstream_ready() = 0;

      protected:
        ~User() = default;
    };

    // `clusters` and `endpoint` outlive it: an endpoint stays while a request on it is under way, and closes
    // its idle connections before it goes.
    UpstreamConnection(Clusters& clusters, Endpoint& endpoint) : clusters_(clusters), endpoint_(endpoint) {}

    // False: refused at once.
    bool open();
    void on_transport_ready() override;

    Endpoint& endpoint() const { return endpoint_; }
    Transport& transport() const { return *transport_; }
    bool reused() const { return reused_; }  // it served a request before

    // Null while it is idle. Whoever takes a connection gives it back before it goes.
    void set_user(User* user) { user_ = user; }
    void note_reused() { reused_ = true; }

  private:
    Clusters& clusters_;
    Endpoint& endpoint_;
    std::unique_ptr<Transport> transport_;
    User* user_ = nullptr;
    bool reused_ = false;
};

}  // namespace havn::gateway
