#include "gateway/core/turn/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text/prometheus.h"

namespace havn::gateway {

std::shared_ptr<InstanceMetrics> Metrics::instance(const std::string& service, std::uint32_t number) {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<InstanceMetrics>& known = instances_[{service, number}];
    std::shared_ptr<InstanceMetrics> shared = known.lock();
    if (!shared) known = shared = std::make_shared<InstanceMetrics>();
    return shared;
}

void Metrics::forget_gone_instances() {
    const std::lock_guard lock(mutex_);
    std::erase_if(instances_, [](const auto& entry) { return entry.second.expired(); });
}

void RouteMetrics::note(unsigned status, Duration duration) {
    responses[status == 499 || status < 100 ? 0 : std::min(status / 100, 5u)].add();
    duration_us.add(static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(duration).count()));
    std::size_t bucket = 0;
    while (bucket < bucket_ms.size() && duration > milliseconds(bucket_ms[bucket])) ++bucket;
    buckets[bucket].add();
}

namespace {

// The entries of one table over all threads, by name.
template <class Value>
using Merged = std::map<std::string, std::vector<const Value*>>;

template <class Value>
std::uint64_t sum(const std::vector<const Value*>& parts, auto get) {
    std::uint64_t total = 0;
    for (const Value* part : parts) total += get(*part).value();
    return total;
}

void show_routes(prometheus::Writer& out, const Merged<RouteMetrics>& routes) {
    constexpr std::array<std::string_view, 6> classes{"client_left", "1xx", "2xx", "3xx", "4xx", "5xx"};
    out.family("havn_gateway_requests_total", "counter", "Requests answered, by route and class of status.");
    for (const auto& [name, parts] : routes) {
        for (std::size_t i = 0; i < classes.size(); ++i) {
            const std::uint64_t count =
                sum(parts, [i](const RouteMetrics& m) -> auto& { return m.responses[i]; });
            if (count == 0 && i != 2) continue;
            out.sample({{"route", name}, {"code", classes[i]}}, count);
        }
    }
    out.family("havn_gateway_fallbacks_total", "counter", "Requests answered with the route's fallback.");
    for (const auto& [name, parts] : routes) {
        out.sample({{"route", name}}, sum(parts, [](const RouteMetrics& m) -> auto& { return m.fallbacks; }));
    }
    out.family("havn_gateway_request_duration_seconds", "histogram",
               "From the head's arrival to the last byte.");
    for (const auto& [name, parts] : routes) {
        std::uint64_t total = 0;
        for (std::size_t i = 0; i <= RouteMetrics::bucket_ms.size(); ++i) {
            total += sum(parts, [i](const RouteMetrics& m) -> auto& { return m.buckets[i]; });
            const std::string bound = i == RouteMetrics::bucket_ms.size()
                                          ? "+Inf"
                                          : fmt::format("{}", RouteMetrics::bucket_ms[i] / 1000.0);
            out.sample({{"route", name}, {"le", bound}}, total, "_bucket");
        }
        const std::uint64_t us = sum(parts, [](const RouteMetrics& m) -> auto& { return m.duration_us; });
        out.sample({{"route", name}}, static_cast<double>(us) / 1e6, "_sum");
        out.sample({{"route", name}}, total, "_count");
    }
}

void show_services(prometheus::Writer& out, const Merged<ServiceMetrics>& services) {
    struct Row {
        std::string_view name, help;
        Counter ServiceMetrics::* counter;
    };
    static constexpr std::array<Row, 6> rows{{
        {"requests", "Requests sent to a service, retries included.", &ServiceMetrics::requests},
        {"connects", "New connections to a service.", &ServiceMetrics::connects},
        {"connect_failures", "Connections that failed or took too long.", &ServiceMetrics::connect_failures},
        {"timeouts", "Exchanges cut at their deadline.", &ServiceMetrics::timeouts},
        {"broken_responses", "Responses that were cut short or malformed.",
         &ServiceMetrics::broken_responses},
        {"retries", "Requests that went to another endpoint.", &ServiceMetrics::retries},
    }};
    for (const Row& row : rows) {
        out.family(fmt::format("havn_gateway_upstream_{}_total", row.name), "counter", row.help);
        for (const auto& [name, parts] : services) {
            out.sample({{"service", name}},
                       sum(parts, [&](const ServiceMetrics& m) -> auto& { return m.*row.counter; }));
        }
    }
}

struct InstanceNow {
    std::uint64_t requests = 0, failures = 0, in_flight = 0, ejected = 0;

    void add(const InstanceMetrics& part) {
        requests += part.requests.value();
        failures += part.failures.value();
        in_flight += part.in_flight.value();
        ejected += part.ejected.value();
    }
};
using Instances = std::map<std::pair<std::string, std::uint32_t>, InstanceNow>;

void show_instances(prometheus::Writer& out, const Instances& instances) {
    struct Row {
        std::string_view name, type, help;
        std::uint64_t InstanceNow::* value;
    };
    static constexpr std::array<Row, 4> rows{{
        {"requests_total", "counter", "Requests sent to the instance, retries included.",
         &InstanceNow::requests},
        {"failures_total", "counter",
         "Of them, those that failed by its fault: not reached, late, cut short or malformed.",
         &InstanceNow::failures},
        {"in_flight", "gauge", "Requests the instance is serving.", &InstanceNow::in_flight},
        {"set_aside", "gauge",
         "Threads of the gateway that set it aside after failures, but for one trial at a time; 0 is none.",
         &InstanceNow::ejected},
    }};
    for (const Row& row : rows) {
        out.family(fmt::format("havn_gateway_instance_{}", row.name), row.type, row.help);
        for (const auto& [key, now] : instances) {
            out.sample({{"service", key.first}, {"instance", std::to_string(key.second)}}, now.*row.value);
        }
    }
}

void show_queues(prometheus::Writer& out, const Merged<QueueMetrics>& queues) {
    out.family("havn_gateway_jobs_total", "counter", "Requests of queue routes, by outcome.");
    for (const auto& [name, parts] : queues) {
        out.sample({{"queue", name}, {"outcome", "accepted"}},
                   sum(parts, [](const QueueMetrics& m) -> auto& { return m.accepted; }));
        out.sample({{"queue", name}, {"outcome", "refused"}},
                   sum(parts, [](const QueueMetrics& m) -> auto& { return m.refused; }));
    }
}

void show_process(prometheus::Writer& out, const Metrics::Process& process) {
    out.value("havn_gateway_memory_used_bytes", "gauge",
              "Memory held for request bodies on their way into queues.", process.memory_used);
    out.value("havn_gateway_memory_limit_bytes", "gauge",
              "What that memory may grow to; beyond, jobs are answered 503.", process.memory_limit);
    out.value("havn_gateway_connections_limit", "gauge", "Client connections from outside that fit.",
              process.connections_max);
    out.value("havn_gateway_descriptors_limit", "gauge", "Open descriptors this process may have.",
              process.descriptors_max);
}

}  // namespace

std::string Metrics::prometheus(std::span<const Metrics* const> threads, const Process& process) {
    struct Row {
        std::string_view name, type, help;
        Counter Metrics::* counter;
    };
    static constexpr std::array<Row, 10> rows{{
        {"connections_accepted_total", "counter", "Client connections accepted.",
         &Metrics::connections_accepted},
        {"connections_open", "gauge", "Client connections open.", &Metrics::connections_open},
        {"connections_refused_total", "counter", "Client connections closed: their address had too many.",
         &Metrics::connections_refused},
        {"connections_shed_total", "counter", "Idle client connections closed to make room.",
         &Metrics::connections_shed},
        {"memory_refusals_total", "counter", "Jobs answered 503 because the memory for bodies was full.",
         &Metrics::memory_refusals},
        {"requests_in_flight", "gauge", "Requests being served.", &Metrics::requests_in_flight},
        {"bad_requests_total", "counter", "Requests refused before routing.", &Metrics::bad_requests},
        {"received_bytes_total", "counter", "Bytes of request bodies.", &Metrics::bytes_received},
        {"sent_bytes_total", "counter", "Bytes of response bodies.", &Metrics::bytes_sent},
        {"log_lines_dropped_total", "counter", "Access log lines lost.", &Metrics::log_lines_dropped},
    }};
    prometheus::Writer out;
    show_process(out, process);
    for (const Row& row : rows) {
        std::uint64_t total = 0;
        for (const Metrics* metrics : threads) total += (metrics->*row.counter).value();
        out.value(fmt::format("havn_gateway_{}", row.name), row.type, row.help, total);
    }
    Merged<RouteMetrics> routes;
    Merged<ServiceMetrics> services;
    Merged<QueueMetrics> queues;
    Instances instances;
    for (const Metrics* metrics : threads) {
        const std::lock_guard lock(metrics->mutex_);
        for (const auto& [name, value] : metrics->routes_) routes[name].push_back(value.get());
        for (const auto& [name, value] : metrics->services_) services[name].push_back(value.get());
        for (const auto& [name, value] : metrics->queues_) queues[name].push_back(value.get());
        for (const auto& [key, part] : metrics->instances_) {
            if (const auto shared = part.lock()) instances[key].add(*shared);
        }
    }
    show_routes(out, routes);
    show_services(out, services);
    show_instances(out, instances);
    show_queues(out, queues);
    return out.take();
}

}  // namespace havn::gateway
