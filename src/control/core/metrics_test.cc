#include "control/core/metrics.h"

#include <gtest/gtest.h>

#include "base/text/prometheus_testing.h"

namespace havn::control {
namespace {

TEST(Metrics, every_process_has_its_state_and_restarts) {
    const Json table{
        {{"name", "web"}, {"instance", 2}, {"kind", "service"}, {"state", "backoff"}, {"restarts", 4}}};
    const std::string text = process_metrics(table);
    EXPECT_NE(text.find("havn_process_up{name=\"web\",instance=\"2\",kind=\"service\"} 0\n"),
              std::string::npos);
    EXPECT_NE(text.find("havn_process_restarts_total{name=\"web\",instance=\"2\",kind=\"service\"} 4\n"),
              std::string::npos);
    EXPECT_NE(text.find("state=\"backoff\"} 1\n"), std::string::npos);
    EXPECT_EQ(prometheus::mistake_in(text), "");
}

TEST(Metrics, an_instance_that_is_being_replaced_is_counted_once) {
    const Json row{
        {"name", "web"}, {"instance", 1}, {"kind", "service"}, {"state", "ready"}, {"restarts", 0}};
    const std::string text = process_metrics(Json{row, row});
    EXPECT_EQ(text.find("havn_process_up{"), text.rfind("havn_process_up{"));
}

TEST(Metrics, a_part_that_refuses_its_configuration_is_marked) {
    Json row{{"name", "broker"}, {"instance", 1}, {"kind", "platform"}, {"state", "ready"}, {"restarts", 0}};
    EXPECT_NE(process_metrics(Json::array({row})).find("havn_configuration_refused{name=\"broker\"} 0\n"),
              std::string::npos);
    row["refuses"] = {{"message", "no"}};
    const std::string text = process_metrics(Json::array({row}));
    EXPECT_NE(text.find("havn_configuration_refused{name=\"broker\"} 1\n"), std::string::npos);
    EXPECT_EQ(prometheus::mistake_in(text), "");
}

TEST(Metrics, a_family_of_two_sources_is_declared_once_and_stays_together) {
    EXPECT_EQ(merge_metrics({"# TYPE a counter\na{x=\"1\"} 1\n# TYPE b gauge\nb 2\n",
                             "# TYPE a counter\na{x=\"2\"} 3\n# TYPE c gauge\nc 4\n"}),
              "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 3\n# TYPE b gauge\nb 2\n# TYPE c gauge\nc 4\n");
}

}  // namespace
}  // namespace havn::control
