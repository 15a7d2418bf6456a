#include "gateway/core/policy/alarms.h"

#include <gtest/gtest.h>

namespace havn::gateway {
namespace {

constexpr Time start{seconds(100)};

TEST(alarm, is_news_once_until_it_has_been_calm) {
    Alarm alarm;
    EXPECT_FALSE(alarm.calmed_down(start));
    EXPECT_TRUE(alarm.raise(start));
    EXPECT_FALSE(alarm.raise(start + seconds(1)));
    EXPECT_FALSE(alarm.calmed_down(start + seconds(10)));  // it was raised again in between
    EXPECT_TRUE(alarm.calmed_down(start + seconds(11)));
    EXPECT_FALSE(alarm.calmed_down(start + seconds(12)));
    EXPECT_TRUE(alarm.raise(start + seconds(13)));
}

TEST(alarm, is_active_while_it_lasts_whoever_asks) {
    Alarm alarm;
    EXPECT_FALSE(alarm.active(start));
    alarm.raise(start);
    EXPECT_TRUE(alarm.active(start + seconds(9)));
    EXPECT_FALSE(alarm.active(start + seconds(10)));
    EXPECT_TRUE(alarm.raised());  // nobody has said yet that it is over
}

TEST(alarms, say_what_is_short_and_whether_others_suffer) {
    Alarms alarms;
    Admission admission;
    MemoryBudget memory(64u << 20);
    EXPECT_TRUE(shortages(alarms, admission, memory, start).empty());
    for (const auto& [alarm, over] : alarms.all()) {
        alarm->raise(start);
        EXPECT_FALSE(over.empty());
    }
    const std::vector<Shortage> found = shortages(alarms, admission, memory, start);
    ASSERT_EQ(found.size(), 4u);  // who waits is said, and not who was closed for others besides
    EXPECT_EQ(found[0].cause, "memory");
    EXPECT_NE(found[0].message.find("0 of 64 MB"), std::string::npos);
    EXPECT_TRUE(found[0].unwell && found[1].unwell && found[2].unwell);
    EXPECT_EQ(found[3].cause, "address");
    EXPECT_FALSE(found[3].unwell);
    EXPECT_TRUE(shortages(alarms, admission, memory, start + seconds(10)).empty());
}

}  // namespace
}  // namespace havn::gateway
