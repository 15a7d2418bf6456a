#include "supervisor/core/restart_policy.h"

#include <gtest/gtest.h>

namespace havn::supervisor {
namespace {

struct RestartPolicyTest : testing::Test {
    Random random{7};
    RestartPolicy policy{RestartLimits{}};
    Time now{};

    milliseconds bad_life() { return policy.after_life(false, milliseconds(10), now, random); }
    milliseconds good_life() { return policy.after_life(true, seconds(5), now, random); }
};

TEST_F(RestartPolicyTest, a_good_life_is_followed_at_once_however_many_there_were) {
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(good_life(), milliseconds(0));
        now += seconds(6);
    }
}

TEST_F(RestartPolicyTest, good_lives_that_end_too_often_get_their_pauses_until_one_lasts) {
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(good_life(), milliseconds(0));
        now += seconds(5);
    }
    for (int i = 0; i < 20; ++i) {
        const milliseconds pause = good_life();
        EXPECT_GT(pause, milliseconds(0));
        EXPECT_LE(pause, seconds(60));
        now += pause + seconds(5);
    }
    EXPECT_GT(policy.slow_retries(), 0u);
    now += seconds(60);
    EXPECT_EQ(policy.after_life(true, seconds(60), now, random), milliseconds(0));
    EXPECT_EQ(policy.slow_retries(), 0u);
}

TEST_F(RestartPolicyTest, a_part_of_the_platform_may_end_as_often_as_it_likes) {
    RestartPolicy part{RestartLimits{.restarts_max = 0}};
    for (int i = 0; i < 100; ++i) EXPECT_EQ(part.after_life(true, seconds(5), now, random), milliseconds(0));
}

TEST_F(RestartPolicyTest, startretries_failures_go_at_full_speed_then_the_pause_doubles_to_its_bound) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(bad_life(), milliseconds(0));
    milliseconds expected(1'000);
    for (int i = 0; i < 40; ++i) {
        const milliseconds pause = bad_life();
        EXPECT_LE(pause, expected);
        EXPECT_GE(pause, expected / 2);
        now += pause;
        expected = std::min(expected * 2, milliseconds(60'000));
    }
}

TEST_F(RestartPolicyTest, failures_older_than_the_window_do_not_count) {
    for (int i = 0; i < 3; ++i) bad_life();
    now += seconds(61);
    EXPECT_EQ(bad_life(), milliseconds(0));
}

TEST_F(RestartPolicyTest, once_slow_it_stays_slow_although_the_pauses_outlast_the_window) {
    for (int i = 0; i < 4; ++i) bad_life();
    now += seconds(600);
    EXPECT_GT(bad_life(), milliseconds(0));
}

TEST_F(RestartPolicyTest, a_good_life_makes_everything_forgotten) {
    for (int i = 0; i < 10; ++i) bad_life();
    good_life();
    EXPECT_EQ(bad_life(), milliseconds(0));
}

TEST_F(RestartPolicyTest, ready_but_short_is_still_a_failure) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(policy.after_life(true, milliseconds(999), now, random), milliseconds(0));
    }
    EXPECT_GT(policy.after_life(true, milliseconds(999), now, random), milliseconds(0));
}

TEST_F(RestartPolicyTest, without_startsecs_nothing_spins_either) {
    RestartPolicy hasty{RestartLimits{.startsecs = milliseconds(0)}};
    for (int i = 0; i < 3; ++i) hasty.after_life(true, milliseconds(5), now, random);
    EXPECT_GT(hasty.after_life(true, milliseconds(5), now, random), milliseconds(0));
}

TEST_F(RestartPolicyTest, two_instances_that_fail_together_do_not_retry_together) {
    RestartPolicy other{RestartLimits{}};
    bool differed = false;
    for (int i = 0; i < 10; ++i) {
        differed |= bad_life() != other.after_life(false, milliseconds(10), now, random);
    }
    EXPECT_TRUE(differed);
}

}  // namespace
}  // namespace havn::supervisor
