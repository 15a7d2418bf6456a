// Channels: how they are opened and closed, and what closes one instead of the connection.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::StartsWith;

TEST(AChannel, opened_twice_closes_the_connection) {
    World world;
    Client client(world);
    client.send(1, ChannelOpen{});
    EXPECT_EQ(client.expect_connection_close(), "504 CHANNEL_ERROR - second 'channel.open' seen");
}

TEST(AChannel, never_opened_closes_the_connection) {
    World world;
    Client client(world);
    client.send(2, QueuePurge{0, "q", false});
    EXPECT_EQ(client.expect_connection_close(), "504 CHANNEL_ERROR - expected 'channel.open'");
}

TEST(AChannel, above_the_maximum_is_not_allowed) {
    World world;
    Client client(world, {.channel_max = 10});
    client.open(10);
    client.send(11, ChannelOpen{});
    EXPECT_THAT(client.expect_connection_close(), StartsWith("530 NOT_ALLOWED"));
}

TEST(AChannel, closed_by_the_client_is_answered_and_may_be_opened_again) {
    World world;
    Client client(world);
    client.ask<ChannelCloseOk>(1, ChannelClose{200, "", 0, 0});
    client.open(1);
}

TEST(AChannel, closed_by_the_broker_ignores_everything_until_close_ok) {
    World world;
    Client client(world);
    client.send(1, QueuePurge{0, "missing", false});
    const auto close = client.expect<ChannelClose>(1);
    EXPECT_EQ(close.reply_code, 404);
    EXPECT_EQ(close.reply_text, "NOT_FOUND - no queue 'missing' in vhost '/'");
    EXPECT_EQ(close.failing_class, 50);
    EXPECT_EQ(close.failing_method, 30);
    client.publish("", "q", "ignored");
    client.send(1, QueuePurge{0, "also-missing", false});
    EXPECT_TRUE(client.silent());
    client.send(1, ChannelCloseOk{});
    client.open(1);
}

TEST(AChannel, that_fails_leaves_the_others_alone) {
    World world;
    Client client(world);
    client.open(2);
    client.send(2, QueuePurge{0, "missing", false});
    EXPECT_THAT(client.expect_channel_close(2), StartsWith("404"));
    client.declare("q");
}

TEST(AnInterruptedPublish, is_unexpected) {
    World world;
    Client client(world);
    client.send(1, BasicPublish{0, "", "q", false, false});
    client.send(1, QueuePurge{0, "q", false});
    EXPECT_THAT(client.expect_connection_close(),
                StartsWith("505 UNEXPECTED_FRAME - expected content header for class 60, got method"));
}

TEST(AccessRequest, is_granted_always) {
    World world;
    Client client(world);
    EXPECT_EQ(client.ask<AccessRequestOk>(1, AccessRequest{"/data", false, false, true, true, true}).ticket,
              1);
}

TEST(Flow, can_only_be_on) {
    World world;
    Client client(world);
    EXPECT_TRUE(client.ask<ChannelFlowOk>(1, ChannelFlow{true}).active);
    client.send(1, ChannelFlow{false});
    EXPECT_EQ(client.expect_connection_close(), "540 NOT_IMPLEMENTED - active=false");
}

TEST(Transactions, are_not_implemented_and_say_so) {
    World world;
    Client client(world);
    client.send(1, TxCommit{});
    EXPECT_EQ(client.expect_channel_close(), "406 PRECONDITION_FAILED - channel is not transactional");
    client.open(1);
    client.confirm_select();
    client.send(1, TxSelect{});
    EXPECT_EQ(client.expect_channel_close(),
              "406 PRECONDITION_FAILED - cannot switch from confirm to tx mode");
    client.open(1);
    client.send(1, TxSelect{});
    EXPECT_THAT(client.expect_connection_close(), StartsWith("540 NOT_IMPLEMENTED"));
}

TEST(AnErrorText, longer_than_a_short_string_is_cut) {
    World world;
    Client client(world);
    const std::string name(250, 'n');
    client.send(1, QueuePurge{0, std::string_view(name), false});
    const std::string text = client.expect_channel_close();
    EXPECT_EQ(text.size(), 4 + 255u);
}

}  // namespace
}  // namespace havn::broker::testing
