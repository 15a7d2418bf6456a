// What is counted, and how it is shown: Prometheus text.
//
// One Metrics per thread. Its owner alone adds, without locking; anybody may read. Names (routes, services,
// queues) are looked up once per configuration and live as long as the Metrics, so that counters never go
// back. Those of an instance live as long as somebody holds them: there are as many series as instances.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"

namespace havn::gateway {

class Counter {
  public:
    void add(std::uint64_t n = 1) { value_.store(value() + n, std::memory_order_relaxed); }
    void subtract(std::uint64_t n = 1) { value_.store(value() - n, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

struct RouteMetrics {
    static constexpr std::array<unsigned, 13> bucket_ms{1,   2,   5,    10,   20,   50,   100,
                                                        200, 500, 1000, 2000, 5000, 10000};
    std::array<Counter, 6> responses;                   // by first digit of the status; [0]: the client left
    std::array<Counter, bucket_ms.size() + 1> buckets;  // the last: above all
    Counter duration_us;
    Counter fallbacks;

    void note(unsigned status, Duration duration);
};

struct ServiceMetrics {
    Counter requests, connects, connect_failures, timeouts, broken_responses, retries;
};

// Of one instance of a service: an endpoint, and the one that replaces it while both are there.
struct InstanceMetrics {
    Counter requests, failures;
    Counter in_flight, ejected;  // now
};

struct QueueMetrics {
    Counter accepted, refused;
};

class Metrics {
  public:
    RouteMetrics& route(const std::string& name) { return get(routes_, name); }
    ServiceMetrics& service(const std::string& name) { return get(services_, name); }
    QueueMetrics& queue(const std::string& name) { return get(queues_, name); }

    // Shared by all who ask while somebody holds it, and gone with the last of them.
    std::shared_ptr<InstanceMetrics> instance(const std::string& service, std::uint32_t number);
    void forget_gone_instances();

    Counter connections_accepted, connections_open, requests_in_flight, bad_requests;
    Counter connections_refused, connections_shed, memory_refusals;
    Counter bytes_received, bytes_sent, log_lines_dropped;

    // What holds for the process.
    struct Process {
        std::uint64_t memory_used = 0, memory_limit = 0;  // bytes
        std::uint64_t connections_max = 0, descriptors_max = 0;
    };

    // The sum over all threads.
    static std::string prometheus(std::span<const Metrics* const> threads, const Process& process);

  private:
    template <class Value>
    using Table = std::map<std::string, std::unique_ptr<Value>>;

    template <class Value>
    Value& get(Table<Value>& table, const std::string& name) {
        const std::lock_guard lock(mutex_);
        std::unique_ptr<Value>& value = table[name];
        if (!value) value = std::make_unique<Value>();
        return *value;
    }

    mutable std::mutex mutex_;  // guards the tables, not what they hold
    Table<RouteMetrics> routes_;
    Table<ServiceMetrics> services_;
    Table<QueueMetrics> queues_;
    std::map<std::pair<std::string, std::uint32_t>, std::weak_ptr<InstanceMetrics>> instances_;
};

}  // namespace havn::gateway
