#include "gateway/core/metrics.h"

#include <fmt/format.h>

#include <iterator>
#include <vector>

namespace havn::gateway {

void RouteMetrics::note(unsigned status, Duration duration) {
    responses[status == 499 || status < 100 || status > 599 ? 0 : status / 100].add();
    duration_us.add(static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(duration).count()));
    std::size_t bucket = 0;
    while (bucket < bucket_ms.size() && duration > milliseconds(bucket_ms[bucket])) ++bucket;
    buckets[bucket].add();
}

namespace {

// A label's value as the format wants it.
std::string label(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '\\' || c == '"') result += '\\';
        result += c == '\n' ? ' ' : c;
    }
    return result;
}

// The entries of one table over all threads, by name.
template <class Value>
using Merged = std::map<std::string, std::vector<const Value*>>;

template <class Value>
std::uint64_t sum(const std::vector<const Value*>& parts, auto get) {
    std::uint64_t total = 0;
    for (const Value* part : parts) total += get(*part).value();
    return total;
}

void family(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void show_routes(std::string& out, const Merged<RouteMetrics>& routes) {
    auto to = std::back_inserter(out);
    constexpr std::array<std::string_view, 6> classes{"client_left", "1xx", "2xx", "3xx", "4xx", "5xx"};
    family(out, "havn_gateway_requests_total", "counter", "Requests answered, by route and class of status.");
    for (const auto& [name, parts] : routes) {
        for (std::size_t i = 0; i < classes.size(); ++i) {
            const std::uint64_t count =
                sum(parts, [i](const RouteMetrics& m) -> auto& { return m.responses[i]; });
            if (count == 0 && i != 2) continue;
            fmt::format_to(to, "havn_gateway_requests_total{{route=\"{}\",code=\"{}\"}} {}\n", label(name),
                           classes[i], count);
        }
    }
    family(out, "havn_gateway_fallbacks_total", "counter", "Requests answered with the route's fallback.");
    for (const auto& [name, parts] : routes) {
        fmt::format_to(to, "havn_gateway_fallbacks_total{{route=\"{}\"}} {}\n", label(name),
                       sum(parts, [](const RouteMetrics& m) -> auto& { return m.fallbacks; }));
    }
    family(out, "havn_gateway_request_duration_seconds", "histogram",
           "From the head's arrival to the last byte.");
    for (const auto& [name, parts] : routes) {
        std::uint64_t total = 0;
        for (std::size_t i = 0; i <= RouteMetrics::bucket_ms.size(); ++i) {
            total += sum(parts, [i](const RouteMetrics& m) -> auto& { return m.buckets[i]; });
            const std::string bound = i == RouteMetrics::bucket_ms.size()
                                          ? "+Inf"
                                          : fmt::format("{}", RouteMetrics::bucket_ms[i] / 1000.0);
            fmt::format_to(to, "havn_gateway_request_duration_seconds_bucket{{route=\"{}\",le=\"{}\"}} {}\n",
                           label(name), bound, total);
        }
        const std::uint64_t us = sum(parts, [](const RouteMetrics& m) -> auto& { return m.duration_us; });
        fmt::format_to(to, "havn_gateway_request_duration_seconds_sum{{route=\"{}\"}} {}\n", label(name),
                       static_cast<double>(us) / 1e6);
        fmt::format_to(to, "havn_gateway_request_duration_seconds_count{{route=\"{}\"}} {}\n", label(name),
                       total);
    }
}

void show_services(std::string& out, const Merged<ServiceMetrics>& services) {
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
        const std::string metric = fmt::format("havn_gateway_upstream_{}_total", row.name);
        family(out, metric, "counter", row.help);
        for (const auto& [name, parts] : services) {
            fmt::format_to(std::back_inserter(out), "{}{{service=\"{}\"}} {}\n", metric, label(name),
                           sum(parts, [&](const ServiceMetrics& m) -> auto& { return m.*row.counter; }));
        }
    }
}

void show_queues(std::string& out, const Merged<QueueMetrics>& queues) {
    family(out, "havn_gateway_jobs_total", "counter", "Requests of queue routes, by outcome.");
    for (const auto& [name, parts] : queues) {
        fmt::format_to(std::back_inserter(out),
                       "havn_gateway_jobs_total{{queue=\"{0}\",outcome=\"accepted\"}} {1}\n"
                       "havn_gateway_jobs_total{{queue=\"{0}\",outcome=\"refused\"}} {2}\n",
                       label(name), sum(parts, [](const QueueMetrics& m) -> auto& { return m.accepted; }),
                       sum(parts, [](const QueueMetrics& m) -> auto& { return m.refused; }));
    }
}

}  // namespace

std::string Metrics::prometheus(std::span<const Metrics* const> threads) {
    struct Row {
        std::string_view name, type, help;
        Counter Metrics::* counter;
    };
    static constexpr std::array<Row, 7> rows{{
        {"connections_accepted_total", "counter", "Client connections accepted.",
         &Metrics::connections_accepted},
        {"connections_open", "gauge", "Client connections open.", &Metrics::connections_open},
        {"requests_in_flight", "gauge", "Requests being served.", &Metrics::requests_in_flight},
        {"bad_requests_total", "counter", "Requests refused before routing.", &Metrics::bad_requests},
        {"received_bytes_total", "counter", "Bytes of request bodies.", &Metrics::bytes_received},
        {"sent_bytes_total", "counter", "Bytes of response bodies.", &Metrics::bytes_sent},
        {"log_lines_dropped_total", "counter", "Access log lines lost.", &Metrics::log_lines_dropped},
    }};
    std::string out;
    for (const Row& row : rows) {
        std::uint64_t total = 0;
        for (const Metrics* metrics : threads) total += (metrics->*row.counter).value();
        const std::string metric = fmt::format("havn_gateway_{}", row.name);
        family(out, metric, row.type, row.help);
        fmt::format_to(std::back_inserter(out), "{} {}\n", metric, total);
    }
    Merged<RouteMetrics> routes;
    Merged<ServiceMetrics> services;
    Merged<QueueMetrics> queues;
    for (const Metrics* metrics : threads) {
        const std::lock_guard lock(metrics->mutex_);
        for (const auto& [name, value] : metrics->routes_) routes[name].push_back(value.get());
        for (const auto& [name, value] : metrics->services_) services[name].push_back(value.get());
        for (const auto& [name, value] : metrics->queues_) queues[name].push_back(value.get());
    }
    show_routes(out, routes);
    show_services(out, services);
    show_queues(out, queues);
    return out;
}

}  // namespace havn::gateway
