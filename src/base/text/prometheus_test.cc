#include "base/text/prometheus.h"

#include <gtest/gtest.h>

#include "base/text/prometheus_testing.h"

namespace havn::prometheus {
namespace {

TEST(Prometheus, a_family_has_its_head_and_its_samples) {
    Writer writer;
    writer.family("a_seconds", "histogram", "How long.");
    writer.sample({{"route", "/"}, {"le", "+Inf"}}, std::uint64_t{3}, "_bucket");
    writer.sample({{"route", "/"}}, 0.25, "_sum");
    writer.value("b_total", "counter", "How many.", 7);
    const std::string text = writer.take();
    EXPECT_EQ(text,
              "# HELP a_seconds How long.\n# TYPE a_seconds histogram\n"
              "a_seconds_bucket{route=\"/\",le=\"+Inf\"} 3\na_seconds_sum{route=\"/\"} 0.25\n"
              "# HELP b_total How many.\n# TYPE b_total counter\nb_total 7\n");
    EXPECT_EQ(mistake_in(text), "");
}

TEST(Prometheus, whatever_a_label_holds_the_text_stays_one) {
    Writer writer;
    writer.family("a", "gauge", "x");
    writer.sample({{"q", "a\"b\\c\nd\xff\xc3\xa9} 1\n"}}, std::uint64_t{1});
    const std::string text = writer.take();
    EXPECT_EQ(text, "# HELP a x\n# TYPE a gauge\na{q=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa9} 1\\n\"} 1\n");
    EXPECT_EQ(mistake_in(text), "");
}

TEST(Prometheus, the_check_finds_mistakes) {
    const std::string head = "# HELP a x\n# TYPE a gauge\n";
    for (const std::string& bad :
         {std::string("# TYPE a gauge\na 1\n"), std::string("a 1\n"), head + "b 1\n", head + "a x\n",
          head + "a 1", head + "a{b=\"c} 1\n", head + "a{b=\"\\c\"} 1\n", head + "a{1=\"c\"} 1\n",
          head + "a 1\na 1\n", head + head + "a 1\n", head + "a{b=\"\xff\"} 1\n",
          std::string("# HELP a x\n# TYPE a counter\na 1\n")}) {
        EXPECT_NE(mistake_in(bad), "") << bad;
    }
}

}  // namespace
}  // namespace havn::prometheus
