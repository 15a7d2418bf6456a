#include "gateway/core/turn/metrics.h"

#include <gtest/gtest.h>

#include "base/text/prometheus_testing.h"

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

TEST(Metrics, of_an_instance_are_there_as_long_as_it_is) {
    Metrics a, b;
    const Metrics* const both[] = {&a, &b};
    const auto shown = [&both] { return Metrics::prometheus(both, {}); };
    std::shared_ptr<InstanceMetrics> one = a.instance("web", 1), other = b.instance("web", 1);
    std::shared_ptr<InstanceMetrics> successor = a.instance("web", 1);
    EXPECT_EQ(successor, one);
    const std::shared_ptr<InstanceMetrics> second = a.instance("web", 2);
    one->requests.add(3);
    one->in_flight.add();
    other->requests.add(4);
    other->failures.add(2);
    other->ejected.add();
    const std::string text = shown();
    EXPECT_EQ(prometheus::mistake_in(text), "");
    for (const std::string line : {
             "havn_gateway_instance_requests_total{service=\"web\",instance=\"1\"} 7\n",
             "havn_gateway_instance_requests_total{service=\"web\",instance=\"2\"} 0\n",
             "havn_gateway_instance_failures_total{service=\"web\",instance=\"1\"} 2\n",
             "havn_gateway_instance_in_flight{service=\"web\",instance=\"1\"} 1\n",
             "havn_gateway_instance_set_aside{service=\"web\",instance=\"1\"} 1\n",
             "havn_gateway_instance_set_aside{service=\"web\",instance=\"2\"} 0\n",
         }) {
        EXPECT_NE(text.find(line), std::string::npos) << line << text;
    }
    one.reset();
    EXPECT_NE(shown().find("instance_in_flight{service=\"web\",instance=\"1\"} 1\n"), std::string::npos);
    successor.reset();
    other.reset();
    EXPECT_EQ(shown().find("instance=\"1\""), std::string::npos);
    EXPECT_NE(shown().find("instance=\"2\""), std::string::npos);
    a.forget_gone_instances();
    EXPECT_EQ(a.instance("web", 1)->requests.value(), 0u) << "a new one counts from the beginning";
}

}  // namespace
}  // namespace havn::gateway
