// The queues the manifest promises: there, durable, and no client's to take away.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Config promising(std::uint32_t attempts = 0) {
    Config config;
    config.vhosts[0].queues.push_back({.name = "orders", .message_ttl = {}, .max_attempts = attempts});
    return config;
}

TEST(APromisedQueue, is_not_declared_any_other_way) {
    World world(promising());
    Client client(world);
    client.send(1, Client::queue_declare("orders", {}, false));
    EXPECT_THAT(client.expect_channel_close(),
                StartsWith("406 PRECONDITION_FAILED - inequivalent arg 'durable'"));
    client.open(1);
    client.declare("orders");
}

TEST(APromisedQueue, that_is_deleted_is_there_again_at_once_and_durable) {
    World world(promising(3));
    {
        Client client(world);
        client.publish("", "orders", "old", persistent());
        for (const char* queue : {"orders", "orders.failed"}) {
            client.ask<QueueDeleteOk>(1, QueueDelete{0, queue, false, false, false});
            EXPECT_TRUE(world.stats(queue).durable);
        }
        client.confirm_select();
        client.publish("", "orders", "new", persistent());
        client.expect<BasicAck>(1);
    }
    world.restart();
    Client client(world);
    EXPECT_EQ(client.get("orders", true)->body, "new");
}

TEST(APromisedQueue, finds_a_transient_one_in_the_way_and_says_so) {
    World world;
    Client owner(world), publisher(world);
    owner.declare("orders", {}, false);
    const Result<> applied = world.broker->apply(promising());
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().kind, Error::Kind::conflict);
    EXPECT_THAT(applied.error().message, HasSubstr("'orders'"));
    EXPECT_THAT(applied.error().remedy, HasSubstr("delete it"));

    publisher.confirm_select();
    publisher.publish("", "orders", "would be lost", persistent());
    publisher.expect<BasicNack>(1);
    publisher.publish("", "orders", "may be lost", transient());
    publisher.expect<BasicAck>(1);

    owner.ask<QueueDeleteOk>(1, QueueDelete{0, "orders", false, false, false});
    EXPECT_TRUE(world.stats("orders").durable) << "the promised one takes its place";
    EXPECT_TRUE(world.broker->apply(promising()));
    publisher.publish("", "orders", "kept", persistent());
    publisher.expect<BasicAck>(1);
    EXPECT_EQ(world.journal.open_deliveries(), 1u);
}

TEST(APromisedQueue, finds_an_exclusive_one_in_the_way) {
    World world;
    {
        Client owner(world);
        QueueDeclare method = Client::queue_declare("orders");
        method.exclusive = true;
        owner.ask<QueueDeclareOk>(1, method);
        EXPECT_FALSE(world.broker->apply(promising()));
    }
    EXPECT_TRUE(world.stats("orders").durable);
    EXPECT_TRUE(world.broker->apply(promising()));
}

TEST(APromisedQueue, that_was_auto_delete_stays_from_the_next_start_on) {
    World world;
    {
        Client client(world);
        QueueDeclare method = Client::queue_declare("orders");
        method.auto_delete = true;
        client.ask<QueueDeclareOk>(1, method);
    }
    world.config = promising();
    world.restart();
    {
        Client client(world);
        client.consume("orders");
        client.ask<BasicCancelOk>(1, BasicCancel{"c", false});
    }
    EXPECT_TRUE(world.has_queue("orders"));
    world.restart();
    EXPECT_TRUE(world.broker->apply(promising()));
}

}  // namespace
}  // namespace havn::broker::testing
