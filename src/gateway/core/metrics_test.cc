#include "gateway/core/metrics.h"

#include <gtest/gtest.h>

#include "base/prometheus_testing.h"

namespace havn::gateway {
namespace {

TEST(Metrics, are_summed_over_threads) {
    Metrics a, b;
    a.connections_open.add(3);
    b.connections_open.add(2);
    b.connections_open.subtract();
    a.route("/x\"y").note(200, milliseconds(3));
    b.route("/x\"y").note(204, milliseconds(30));
    b.route("/x\"y").note(499, seconds(20));
    b.route("/x\"y").note(999, milliseconds(30));
    b.service("web").retries.add();
    b.queue("q").accepted.add(5);
    const Metrics* const both[] = {&a, &b};
    const std::string text = Metrics::prometheus(both, {1000, 2000, 100, 1024});
    EXPECT_EQ(prometheus::mistake_in(text), "");
    for (const std::string line : {
             "havn_gateway_connections_open 4\n",
             "havn_gateway_memory_used_bytes 1000\n",
             "havn_gateway_memory_limit_bytes 2000\n",
             "havn_gateway_connections_limit 100\n",
             "havn_gateway_descriptors_limit 1024\n",
             "havn_gateway_requests_total{route=\"/x\\\"y\",code=\"2xx\"} 2\n",
             "havn_gateway_requests_total{route=\"/x\\\"y\",code=\"client_left\"} 1\n",
             "havn_gateway_requests_total{route=\"/x\\\"y\",code=\"5xx\"} 1\n",
             "havn_gateway_request_duration_seconds_bucket{route=\"/x\\\"y\",le=\"0.002\"} 0\n",
             "havn_gateway_request_duration_seconds_bucket{route=\"/x\\\"y\",le=\"0.005\"} 1\n",
             "havn_gateway_request_duration_seconds_bucket{route=\"/x\\\"y\",le=\"0.05\"} 3\n",
             "havn_gateway_request_duration_seconds_bucket{route=\"/x\\\"y\",le=\"+Inf\"} 4\n",
             "havn_gateway_request_duration_seconds_sum{route=\"/x\\\"y\"} 20.063\n",
             "havn_gateway_upstream_retries_total{service=\"web\"} 1\n",
             "havn_gateway_jobs_total{queue=\"q\",outcome=\"accepted\"} 5\n",
         }) {
        EXPECT_NE(text.find(line), std::string::npos) << line << text;
    }
}

}  // namespace
}  // namespace havn::gateway
