// Services as one thread sees them: endpoints, the connections to them, and which are idle.
#pragma once

#include <sys/socket.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "contract/gateway.h"
#include "gateway/core/cluster/balancer.h"
#include "gateway/core/policy/admission.h"
#include "gateway/core/turn/metrics.h"
#include "gateway/shell/socket.h"

namespace havn::gateway {

class Exchange;
class UpstreamConnection;
struct Service;
class Services;

// An address of a service. It outlives its place in the table until its last request is done.
struct Endpoint : Candidate {
    Endpoint();
    ~Endpoint();

    // It is that instance from now on, and counts there.
    void become(std::uint32_t number, std::shared_ptr<InstanceMetrics> counted);
    void request_begins();
    void request_ends();
    void attempt_failed(Time now);  // by its fault
    void answered();
    void show_ejected();  // whenever `ejected` may have changed

    Service* service = nullptr;
    std::string address;
    std::uint32_t instance = 1;  // whose weight it has
    sockaddr_storage socket_address{};
    socklen_t socket_address_size = 0;
    bool removed = false;
    std::uint64_t removed_by = 0;                           // the version of the table that dropped it
    std::vector<std::unique_ptr<UpstreamConnection>> idle;  // the last one used is used first

  private:
    void leave_metrics();

    std::shared_ptr<InstanceMetrics> metrics_;
    bool ejected_shown_ = false;
};

struct Service {
    std::string name;
    UpstreamConfig settings;
    ServiceMetrics* metrics = nullptr;
    std::vector<std::unique_ptr<Endpoint>> endpoints;  // removed ones included
    std::vector<Candidate*> candidates;                // the endpoints in the table, in its order

    HealthRule health() const { return {settings.max_fails, settings.fail_timeout}; }
};

// A connection to an endpoint: used by one exchange at a time, or idle in its endpoint's pool.
class UpstreamConnection : public Pollable {
  public:
    UpstreamConnection(Services& services, Endpoint& endpoint, io::Fd fd, bool connecting)
        : socket(std::move(fd)), services_(services), endpoint_(endpoint), connecting_(connecting) {}

    void on_ready(std::uint32_t events) override;

    Endpoint& endpoint() const { return endpoint_; }
    bool connecting() const { return connecting_; }
    bool reused() const { return reused_; }  // it served a request before

    // The error connect() ended with, once the socket is writable; 0: connected.
    int finish_connect();

    Socket socket;
    Exchange* exchange = nullptr;  // null while idle

  private:
    friend class Services;
    Services& services_;
    Endpoint& endpoint_;
    Admission::Place place_;
    bool connecting_;
    bool reused_ = false;
};

class Services {
  public:
    struct Entry {
        std::string address;
        std::uint32_t instance = 1;
    };
    using Table = std::map<std::string, std::vector<Entry>>;

    // Told of each endpoint that left the table once nothing uses it any more.
    class Observer {
      public:
        virtual ~Observer() = default;
        virtual void on_drained(const std::string& endpoint, std::uint64_t removed_by) = 0;

        // For each connection; and whether some descriptors were freed after `error_number` said they are
        // short.
        virtual Admission::Place place_inside() = 0;
        virtual bool free_descriptors(int error_number) = 0;
    };

    Services(Poller& poller, Metrics& metrics, Observer& observer)
        : poller_(poller), metrics_(metrics), observer_(observer) {}

    // A service is there from the first time it is named, with or without endpoints.
    Service& get(const std::string& name);
    void configure(const std::vector<UpstreamConfig>& upstreams);

    // The whole table. Endpoints that stay keep their connections and their health.
    void set_endpoints(const Table& table, std::uint64_t version);

    // An idle connection (unless `fresh`), or a new one that may still be connecting. Null: refused at once.
    std::unique_ptr<UpstreamConnection> acquire(Endpoint& endpoint, Exchange& exchange, bool fresh);
    static bool is_stale(UpstreamConnection& connection);  // the peer closed it or sent what nobody asked for

    // The exchange is done with it: back to the pool, or closed.
    void release(std::unique_ptr<UpstreamConnection> connection, bool reusable);
    void discard_idle(UpstreamConnection& connection);

    // The request counted in endpoint.in_flight is over.
    void request_done(Endpoint& endpoint);

  private:
    void remove_endpoint(Endpoint& endpoint, std::uint64_t version);
    void destroy_if_unused(Endpoint& endpoint);
    void close(std::unique_ptr<UpstreamConnection> connection);
    std::unique_ptr<UpstreamConnection> connect(Endpoint& endpoint);

    Poller& poller_;
    Metrics& metrics_;
    Observer& observer_;
    std::map<std::string, std::unique_ptr<Service>> services_;
    std::uint64_t endpoints_made_ = 0;
};

}  // namespace havn::gateway
