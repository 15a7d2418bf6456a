#include "gateway/core/turn/turn_clock.h"

#include <gtest/gtest.h>

namespace havn::gateway {
namespace {

TEST(TurnClock, the_date_of_an_answer_is_that_of_http) {
    EXPECT_EQ(format_http_date(WallTime(milliseconds(1'767'225'599'007))), "Wed, 31 Dec 2025 23:59:59 GMT");
}

TEST(TurnClock, its_texts_follow_it) {
    TurnClock clock;
    clock.set(Time{}, WallTime(milliseconds(1'767'225'599'007)));
    EXPECT_EQ(clock.rfc3339(), "2025-12-31T23:59:59.007Z");
    EXPECT_EQ(clock.http_date(), "Wed, 31 Dec 2025 23:59:59 GMT");
    clock.set(Time{}, WallTime(milliseconds(1'767'225'600'008)));
    EXPECT_EQ(clock.rfc3339(), "2026-01-01T00:00:00.008Z");
    EXPECT_EQ(clock.http_date(), "Thu, 01 Jan 2026 00:00:00 GMT");
}

}  // namespace
}  // namespace havn::gateway
