#include "gateway/core/guard.h"

#include <gtest/gtest.h>

namespace havn::gateway {
namespace {

using enum TransactionState;

class GuardTest : public testing::Test {
  protected:
    GuardTest() {
        route.connect_timeout = seconds(1);
        route.idle_timeout = seconds(60);
        route.tunnel_timeout = seconds(3600);
        guard.begin(start);
        guard.set_route(route);
        guard.attempt_begins(start);
    }

    Route route;
    Guard guard;
    Time start{seconds(100)};
};

TEST_F(GuardTest, each_state_has_its_own) {
    EXPECT_EQ(guard.due(connecting), start + seconds(1));
    EXPECT_EQ(guard.due(awaiting), start + seconds(60));
    EXPECT_EQ(guard.due(responding), start + seconds(60));
    EXPECT_EQ(guard.due(tunnelling), start + seconds(3600));
    guard.set_fixed(start + seconds(10));
    EXPECT_EQ(guard.due(answering), start + seconds(10));
    EXPECT_EQ(guard.due(settling), start + seconds(10));
}

TEST_F(GuardTest, progress_puts_silence_off_and_nothing_else) {
    guard.note_progress(start + seconds(50));
    EXPECT_EQ(guard.due(responding), start + seconds(110));
    EXPECT_EQ(guard.due(connecting), start + seconds(1));
}

TEST_F(GuardTest, a_timeout_is_for_all_of_it) {
    route.timeout = seconds(70);
    guard.set_route(route);
    guard.note_progress(start + seconds(50));
    EXPECT_EQ(guard.due(responding), start + seconds(70));
    EXPECT_FALSE(guard.is_total_over(start + seconds(69)));
    EXPECT_TRUE(guard.is_total_over(start + seconds(70)));
}

TEST_F(GuardTest, an_event_stream_may_be_silent_as_a_tunnel) {
    guard.expect_silence();
    EXPECT_EQ(guard.due(responding), start + seconds(3600));
}

TEST_F(GuardTest, the_entry_moves_only_to_come_earlier) {
    EXPECT_EQ(guard.rearm(awaiting, false), start + seconds(60));
    guard.note_progress(start + seconds(30));
    EXPECT_EQ(guard.rearm(responding, true), std::nullopt);
    EXPECT_EQ(guard.rearm(connecting, true), start + seconds(1));
    EXPECT_EQ(guard.rearm(responding, false), start + seconds(90));
}

}  // namespace
}  // namespace havn::gateway
