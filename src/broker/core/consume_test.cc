// Consuming: delivery, credit, acknowledgement, cancellation, direct replies.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::ElementsAre;
using ::testing::StartsWith;

void publish_many(Client& client, std::string_view queue, int count) {
    for (int i = 1; i <= count; ++i) client.publish("", queue, std::to_string(i), persistent());
}

TEST(AConsumer, has_the_tag_it_chose_or_is_given_one) {
    World world;
    Client client(world);
    client.declare("q");
    EXPECT_EQ(client.consume("q", "amq.ctag-mine"), "amq.ctag-mine");
    EXPECT_EQ(client.consume("q", "None4"), "None4");
    EXPECT_THAT(client.consume("q", ""), StartsWith("amq.ctag-"));
    client.send(1, BasicConsume{0, "q", "None4", false, false, false, false, {}});
    EXPECT_EQ(client.expect_connection_close(), "530 NOT_ALLOWED - attempt to reuse consumer tag 'None4'");
}

TEST(AConsumer, is_confirmed_before_its_first_delivery) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 1);
    client.consume("q");  // expects consume-ok to be first
    EXPECT_EQ(client.expect_body(), "1");
}

TEST(Cancel, ends_deliveries) {
    World world;
    Client client(world);
    client.declare("q");
    client.consume("q", "c");
    client.ask<BasicCancelOk>(1, BasicCancel{"c", false});
    publish_many(client, "q", 1);
    EXPECT_TRUE(client.silent());
    client.ask<BasicCancelOk>(1, BasicCancel{"unknown", false});
}

TEST(Cancel, leaves_unacknowledged_deliveries_to_the_channel) {
    World world;
    Client client(world);
    client.declare("q");
    client.consume("q", "c");
    publish_many(client, "q", 1);
    const auto tag = client.expect_delivery().tag;
    client.ask<BasicCancelOk>(1, BasicCancel{"c", false});
    client.ack(tag);
    EXPECT_TRUE(client.silent());
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(AConsumer, is_told_when_its_queue_is_deleted) {
    World world;
    Client client(world), old(world, {.capabilities = false}), other(world);
    other.declare("q");
    client.consume("q", "mine");
    old.consume("q", "mine");
    other.ask<QueueDeleteOk>(1, QueueDelete{0, "q", false, false, false});
    EXPECT_EQ(client.expect<BasicCancel>(1).consumer_tag, "mine");
    EXPECT_TRUE(old.silent()) << "it does not know the notice";
}

TEST(AnAcknowledgement, of_a_deleted_queues_message_is_fine) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 2);
    const auto first = client.get("q")->tag, second = client.get("q")->tag;
    client.ask<QueueDeleteOk>(1, QueueDelete{0, "q", false, false, false});
    client.ack(first);
    client.nack(second, true);
    EXPECT_TRUE(client.silent());
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(AnExclusiveConsumer, is_the_only_one) {
    World world;
    Client client(world), other(world);
    client.declare("q");
    client.ask<BasicConsumeOk>(1, BasicConsume{0, "q", "c", false, false, true, false, {}});
    other.send(1, BasicConsume{0, "q", "d", false, false, false, false, {}});
    EXPECT_EQ(other.expect_channel_close(), "403 ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use");
    client.ask<BasicCancelOk>(1, BasicCancel{"c", false});
    client.consume("q", "shared");
    other.open(1);
    other.send(1, BasicConsume{0, "q", "d", false, false, true, false, {}});
    EXPECT_THAT(other.expect_channel_close(), StartsWith("403 ACCESS_REFUSED"));
}

TEST(DeliveryTags, count_from_one_over_get_and_consume) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 2);
    EXPECT_EQ(client.get("q")->tag, 1u);
    client.consume("q");
    EXPECT_EQ(client.expect_delivery().tag, 2u);
    client.ack(2);
    client.ack(2);
    EXPECT_EQ(client.expect_channel_close(), "406 PRECONDITION_FAILED - unknown delivery tag 2");
}

TEST(AnUnknownDeliveryTag, closes_the_channel_however_it_is_settled) {
    World world;
    Client client(world);
    client.declare("q");
    const auto refused = [&] {
        const std::string text = client.expect_channel_close();
        client.open(1);
        return text;
    };
    client.ack(7);
    EXPECT_EQ(refused(), "406 PRECONDITION_FAILED - unknown delivery tag 7");
    client.ack(7, true);
    EXPECT_EQ(refused(), "406 PRECONDITION_FAILED - unknown delivery tag 7");
    client.nack(7, true);
    EXPECT_EQ(refused(), "406 PRECONDITION_FAILED - unknown delivery tag 7");
    client.send(1, BasicReject{7, false});
    EXPECT_EQ(refused(), "406 PRECONDITION_FAILED - unknown delivery tag 7");
    client.ack(0, true);
    EXPECT_TRUE(client.silent()) << "all of nothing is nothing";
}

TEST(AMultipleAcknowledgement, settles_all_up_to_its_tag_and_zero_all) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 5);
    client.consume("q");
    for (int i = 0; i < 5; ++i) client.expect_delivery();
    client.ack(2);
    client.ack(3, true);
    EXPECT_EQ(world.stats("q").unacked, 2u);
    client.ack(0, true);
    EXPECT_EQ(world.stats("q").unacked, 0u);
    EXPECT_EQ(world.stats("q").acknowledged, 5u);
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(Prefetch, limits_each_consumer) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 5);
    client.qos(2);
    client.consume("q");
    EXPECT_EQ(client.expect_body(), "1");
    EXPECT_EQ(client.expect_body(), "2");
    EXPECT_TRUE(client.silent());
    client.ack(1);
    EXPECT_EQ(client.expect_body(), "3");
    EXPECT_TRUE(client.silent());
}

TEST(Prefetch, of_the_channel_is_shared_by_its_consumers) {
    World world;
    Client client(world);
    client.declare("a");
    client.declare("b");
    client.qos(3, true);
    client.consume("a", "a");
    client.consume("b", "b");
    publish_many(client, "a", 2);
    publish_many(client, "b", 2);
    for (int i = 0; i < 3; ++i) client.expect_delivery();
    EXPECT_TRUE(client.silent());
    client.ack(1);
    EXPECT_EQ(client.expect_delivery().consumer, "b");
}

TEST(Prefetch, changed_while_consuming_is_felt_at_once) {
    World world;
    for (const bool global : {true, false}) {
        Client client(world);
        client.declare("q");
        publish_many(client, "q", 5);
        client.qos(1, global);
        client.consume("q");
        client.expect_delivery();
        EXPECT_TRUE(client.silent());
        client.send(1, BasicQos{0, 3, global});
        client.expect<BasicQosOk>(1);
        client.expect_delivery();
        client.expect_delivery();
        EXPECT_TRUE(client.silent());
        client.qos(1, global);
        client.ack(1);
        client.ack(2);
        EXPECT_TRUE(client.silent()) << "one is still open";
        client.ack(3);
        client.expect_delivery();
        client.vanish();
        Client(world).ask<QueueDeleteOk>(1, QueueDelete{0, "q", false, false, false});
    }
}

TEST(Prefetch, in_bytes_is_not_implemented) {
    World world;
    Client client(world);
    client.send(1, BasicQos{1'000, 0, false});
    EXPECT_EQ(client.expect_connection_close(), "540 NOT_IMPLEMENTED - prefetch_size!=0 (1000)");
}

TEST(Requeue, puts_a_message_back_in_its_place_marked_redelivered) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 4);
    const auto first = *client.get("q"), second = *client.get("q"), third = *client.get("q");
    EXPECT_FALSE(second.redelivered);
    client.nack(third.tag, true);
    client.send(1, BasicReject{first.tag, true});
    client.nack(second.tag, true);
    for (const char* body : {"1", "2", "3"}) {
        const auto message = client.get("q", true);
        EXPECT_EQ(message->body, body);
        EXPECT_TRUE(message->redelivered);
    }
    EXPECT_FALSE(client.get("q", true)->redelivered);
}

TEST(Requeue, of_many_takes_a_multiple_nack) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 3);
    for (int i = 0; i < 3; ++i) client.get("q");
    client.nack(2, true, true);
    EXPECT_THAT(client.drain("q"), ElementsAre("1", "2"));
    EXPECT_EQ(world.stats("q").unacked, 1u);
}

TEST(ALostConnection, gives_back_what_was_not_acknowledged) {
    World world;
    Client witness(world);
    witness.declare("q");
    {
        Client worker(world);
        publish_many(worker, "q", 3);
        worker.consume("q");
        for (int i = 0; i < 3; ++i) worker.expect_delivery();
        worker.ack(2);
        worker.vanish();
    }
    witness.consume("q");
    for (const char* body : {"1", "3"}) {
        const Delivered message = witness.expect_delivery();
        EXPECT_EQ(message.body, body);
        EXPECT_TRUE(message.redelivered);
    }
    EXPECT_TRUE(witness.silent());
}

TEST(AClosedChannel, gives_back_what_was_not_acknowledged) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 1);
    client.get("q");
    client.ask<ChannelCloseOk>(1, ChannelClose{200, "", 0, 0});
    client.open(1);
    EXPECT_TRUE(client.get("q")->redelivered);
}

TEST(Dispatch, goes_round_the_consumers_that_have_credit) {
    World world;
    Client client(world);
    client.declare("q");
    client.qos(2);
    for (const char* tag : {"a", "b", "c"}) client.consume("q", tag);
    publish_many(client, "q", 7);
    std::string order;
    for (int i = 0; i < 6; ++i) order += client.expect_delivery().consumer;
    EXPECT_EQ(order, "abcabc");
    EXPECT_TRUE(client.silent());
    client.ack(5);  // b's second
    EXPECT_EQ(client.expect_delivery().consumer, "b");
}

TEST(Dispatch, prefers_the_higher_priority_while_it_has_credit) {
    World world;
    Client client(world);
    client.declare("q");
    client.qos(1);
    TableWriter high;
    client.consume("q", "low");
    client.consume("q", "high", false, 1, high.integer("x-priority", 10).table());
    publish_many(client, "q", 2);
    EXPECT_EQ(client.expect_delivery().consumer, "high");
    EXPECT_EQ(client.expect_delivery().consumer, "low");
}

TEST(ASingleActiveConsumer, is_followed_by_the_next_when_it_goes) {
    World world;
    Client client(world);
    TableWriter arguments;
    client.declare("q", arguments.boolean("x-single-active-consumer", true).table());
    client.consume("q", "first");
    client.consume("q", "second");
    publish_many(client, "q", 2);
    EXPECT_EQ(client.expect_delivery().consumer, "first");
    EXPECT_EQ(client.expect_delivery().consumer, "first");
    client.ask<BasicCancelOk>(1, BasicCancel{"first", false});
    publish_many(client, "q", 1);
    EXPECT_EQ(client.expect_delivery().consumer, "second");
}

TEST(Get, tells_how_many_remain) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 2);
    EXPECT_EQ(client.get("q", true)->remaining, 1u);
    EXPECT_EQ(client.get("q", true)->remaining, 0u);
    EXPECT_FALSE(client.get("q", true));
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(Recover, redelivers_everything_open) {
    World world;
    Client client(world);
    client.declare("q");
    publish_many(client, "q", 2);
    client.consume("q");
    client.expect_delivery();
    client.expect_delivery();
    client.ask<BasicRecoverOk>(1, BasicRecover{true});
    EXPECT_TRUE(client.expect_delivery().redelivered);
    EXPECT_EQ(client.expect_delivery().tag, 4u);
    client.send(1, BasicRecover{false});
    EXPECT_EQ(client.expect_connection_close(), "540 NOT_IMPLEMENTED - requeue=false");
}

TEST(AConsumer, that_does_not_read_is_not_flooded_and_forgets_nothing) {
    World world;
    Client publisher(world);
    publisher.declare("q");
    const std::string body(100'000, 'b');
    Connection slow(world.broker->connections(), {"slow", true}, world.now);
    std::string in(protocol_header);
    append_method(in, 0, ConnectionStartOk{{}, "PLAIN", std::string_view("\0guest\0guest", 12), "en_US"});
    append_method(in, 0, ConnectionTuneOk{2'047, 131'072, 0});
    append_method(in, 0, ConnectionOpen{"/", "", false});
    append_method(in, 1, ChannelOpen{});
    append_method(in, 1, BasicConsume{0, "q", "c", false, true, false, false, {}});
    slow.on_bytes(in, world.now);
    for (int i = 0; i < 50; ++i) publisher.publish("", "q", body, transient());
    EXPECT_LE(slow.output().size(), Outbox::room_bytes + body.size() + 1'000);
    std::size_t received = 0;
    while (!slow.output().empty()) {
        received += slow.output().size();
        slow.output().clear();
        slow.on_writable();
    }
    EXPECT_GT(received, 50 * body.size());
    EXPECT_EQ(world.stats("q").ready, 0u);
}

TEST(UnackedDeliveries, settled_out_of_order_do_not_pile_up) {
    World world;
    Client client(world);
    client.declare("q");
    client.qos(10);
    client.consume("q");
    publish_many(client, "q", 2'000);
    client.expect_delivery();  // stays open
    for (std::uint64_t tag = 2; tag <= 2'000; ++tag) {
        EXPECT_EQ(client.expect_delivery().tag, tag);
        client.ack(tag);
    }
    EXPECT_EQ(world.stats("q").unacked, 1u);
    client.ack(1);
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
    EXPECT_EQ(world.broker->content_bytes(), 0u);
}

}  // namespace
}  // namespace havn::broker::testing
