// What survives a restart, and content that lives in the log.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"
#include "broker/core/queue/topology_records.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

const std::string queue_q = topology::queue_key("/", "q");

TEST(AfterARestart, durable_topology_is_there_and_the_rest_is_not) {
    World world;
    {
        Client client(world);
        TableWriter arguments;
        const Table priority = arguments.integer("x-max-priority", 3).table();
        client.declare("durable", priority);
        client.declare("transient", {}, false);
        auto exclusive = Client::queue_declare("exclusive");
        exclusive.exclusive = true;
        client.ask<QueueDeclareOk>(1, exclusive);
        client.declare_exchange("e", "topic");
        client.declare_exchange("f", "fanout");
        client.bind("durable", "e", "a.*");
        client.bind("transient", "e", "#");
        client.bind_exchange("e", "f", "");
        client.connection().output().clear();
    }
    world.restart();
    Client client(world);
    client.publish("f", "a.b", "still bound", transient(), true);
    EXPECT_THAT(client.drain("durable"), ElementsAre("still bound"));
    EXPECT_FALSE(world.has_queue("transient"));
    EXPECT_FALSE(world.has_queue("exclusive"));
    TableWriter arguments;
    client.declare("durable", arguments.integer("x-max-priority", 3).table());
    client.declare_exchange("e", "topic");
}

TEST(AfterARestart, what_was_deleted_or_unbound_stays_so) {
    World world;
    {
        Client client(world);
        client.declare("q");
        client.declare("gone");
        client.declare_exchange("e", "direct");
        client.declare_exchange("gone", "direct");
        client.bind("q", "e", "k");
        client.bind("q", "gone", "k");
        client.bind("gone", "e", "k");
        client.publish("", "gone", "m", persistent());
        client.ask<QueueUnbindOk>(1, QueueUnbind{0, "q", "e", "k", {}});
        client.ask<QueueDeleteOk>(1, QueueDelete{0, "gone", false, false, false});
        client.ask<ExchangeDeleteOk>(1, ExchangeDelete{0, "gone", false, false});
    }
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
    world.restart();
    Client client(world);
    client.publish("e", "k", "m", transient(), true);
    EXPECT_EQ(client.expect_return().body, "m");
    EXPECT_FALSE(world.has_queue("gone"));
    for (const auto& [key, value] : world.journal.topology()) {
        EXPECT_THAT(key, Not(::testing::HasSubstr("gone")));
    }
}

TEST(AfterARestart, persistent_messages_are_there_once_in_order) {
    World world;
    {
        Client client(world);
        client.declare("a");
        client.declare("b");
        client.bind("a", "amq.fanout", "");
        client.bind("b", "amq.fanout", "");
        for (const char* body : {"1", "2", "3", "4"}) client.publish("amq.fanout", "", body, persistent());
        client.publish("amq.fanout", "", "transient", transient());
        client.get("a", true);             // 1 is done
        client.get("a");                   // 2 is not
        client.ack(client.get("a")->tag);  // 3 is
    }
    world.restart();
    Client client(world);
    EXPECT_THAT(client.drain("a"), ElementsAre("2", "4"));
    EXPECT_THAT(client.drain("b"), ElementsAre("1", "2", "3", "4"));
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(AfterARestart, messages_may_be_marked_redelivered) {
    World world;
    {
        Client client(world);
        client.declare("q");
        client.publish("", "q", "1", persistent());
    }
    world.restart();
    Client client(world);
    EXPECT_TRUE(client.get("q")->redelivered) << "nobody knows whether it was delivered before";
}

TEST(AfterARestart, expiry_is_due_again) {
    World world;
    {
        Client client(world);
        TableWriter expires, ttl;
        client.declare("unused", expires.integer("x-expires", 2'000).table());
        client.declare("messages", ttl.integer("x-message-ttl", 1'000).table());
        client.publish("", "messages", "m", persistent());
    }
    world.restart();
    EXPECT_EQ(world.broker->next_deadline(), world.now + milliseconds(1'000));
    world.advance(milliseconds(1'000));
    EXPECT_EQ(world.stats("messages").ready, 0u);
    world.advance(milliseconds(1'000));
    EXPECT_FALSE(world.has_queue("unused"));
}

TEST(AfterARestart, the_time_a_message_has_waited_counts) {
    World world;
    {
        Client client(world);
        TableWriter ttl;
        client.declare("q", ttl.integer("x-message-ttl", 10'000).table());
        client.declare("plain");
        client.publish("", "q", "old", persistent());
        client.publish("", "plain", "old", expiring("10000"));
        world.advance(milliseconds(7'000));
        client.publish("", "q", "new", persistent());
    }
    world.now += milliseconds(2'000);  // while it is down
    world.restart();
    EXPECT_EQ(world.broker->next_deadline(), world.now + milliseconds(1'000));
    world.advance(milliseconds(1'000));
    EXPECT_EQ(world.stats("plain").ready, 0u);
    EXPECT_EQ(world.stats("q").ready, 1u);
    world.now += milliseconds(3'600'000);
    world.restart();
    EXPECT_EQ(world.stats("q").ready, 0u) << "expired while it was down";
}

TEST(AfterARestart, failed_attempts_are_remembered) {
    Config config;
    config.vhosts[0].queues.push_back({.name = "q", .message_ttl = {}, .max_attempts = 3});
    World world(config);
    {
        Client client(world);
        client.publish("", "q", "poison", persistent());
    }
    for (int attempt = 1; attempt <= 3; ++attempt) {
        {
            Client client(world);
            client.nack(client.get("q")->tag, true);
        }
        EXPECT_EQ(world.stats("q.failed").ready, attempt == 3 ? 1u : 0u) << attempt;
        world.restart();
    }
}

TEST(AQueueDeclaredAnew, has_nothing_of_its_namesake) {
    World world;
    {
        Client client(world);
        client.declare("q");
        client.publish("", "q", "old", persistent());
        client.get("q");  // unacknowledged while the queue goes
        client.ask<QueueDeleteOk>(1, QueueDelete{0, "q", false, false, false});
        client.declare("q");
        client.publish("", "q", "new", persistent());
        client.vanish();
    }
    world.restart();
    Client client(world);
    EXPECT_THAT(client.drain("q"), ElementsAre("new"));
}

TEST(QueueIds, are_never_given_twice) {
    World world;
    std::set<std::string> values;
    for (int i = 0; i < 3; ++i) {
        {
            Client client(world);
            client.declare("q");
            EXPECT_TRUE(values.insert(world.journal.topology().at(queue_q)).second);
            client.ask<QueueDeleteOk>(1, QueueDelete{0, "q", false, false, false});
        }
        world.restart();
    }
}

TEST(ADurableDeclare, is_answered_once_it_is_on_disk) {
    World world;
    Client client(world);
    world.disk_is_stuck = true;
    client.send(1, Client::queue_declare("q"));
    EXPECT_TRUE(client.silent());
    EXPECT_TRUE(client.connection().paused());
    EXPECT_EQ(client.connection().waits_for(), world.journal.position());
    client.send(1, BasicGet{0, "q", true});
    EXPECT_TRUE(client.silent()) << "answers keep their order";
    client.let_disk_catch_up();
    EXPECT_EQ(client.expect<QueueDeclareOk>(1).queue, "q");
    client.expect<BasicGetEmpty>(1);
}

TEST(ADurableDeclare, of_anothers_queue_waits_for_the_same_disk) {
    World world;
    Client first(world), second(world);
    world.disk_is_stuck = true;
    first.send(1, Client::queue_declare("q"));
    second.send(1, Client::queue_declare("q"));
    EXPECT_TRUE(second.silent());
    second.let_disk_catch_up();
    second.expect<QueueDeclareOk>(1);
}

TEST(AnAnswer, that_promises_nothing_new_does_not_wait_for_the_disk) {
    World world;
    Client client(world), other(world);
    client.declare("q");
    client.declare_exchange("e", "direct");
    client.bind("q", "e", "k");
    world.disk_is_stuck = true;
    other.publish("", "q", "m", persistent());
    client.declare("q");
    client.declare_exchange("e", "direct");
    client.bind("q", "e", "k");
    client.declare("transient", {}, false);
    client.bind("transient", "e", "k");
    client.ask<QueueDeleteOk>(1, QueueDelete{0, "transient", false, false, false});
    client.send(1, QueuePurge{0, "q", false});
    EXPECT_TRUE(client.silent()) << "a purge is written down";
    client.let_disk_catch_up();
    EXPECT_EQ(client.expect<QueuePurgeOk>(1).message_count, 1u);
}

TEST(ADeclareWithoutWait, is_not_answered) {
    World world;
    Client client(world);
    auto method = Client::queue_declare("q");
    method.nowait = true;
    client.send(1, method);
    EXPECT_TRUE(client.silent());
    EXPECT_TRUE(world.has_queue("q"));
}

Config with_content_memory(std::uint64_t bytes) {
    Config config;
    config.memory_bytes_for_content = bytes;
    return config;
}

TEST(ContentBeyondItsMemory, is_read_back_from_the_log) {
    World world(with_content_memory(1'000));
    Client client(world);
    client.declare("q");
    std::vector<std::string> bodies;
    for (int i = 0; i < 10; ++i) {
        bodies.push_back(std::string(300, static_cast<char>('a' + i)));
        client.publish("", "q", bodies.back(), persistent());
    }
    EXPECT_LE(world.broker->content_bytes(), 1'000u);
    EXPECT_EQ(world.journal.reads, 0u);
    client.consume("q");
    for (const std::string& body : bodies) EXPECT_EQ(client.expect_body(), body);
    EXPECT_GE(world.journal.reads, 7u);
    client.nack(0, true, true);
    for (const std::string& body : bodies) {
        EXPECT_EQ(client.expect_body(), body) << "and again after a requeue";
    }
    client.ack(0, true);
    EXPECT_EQ(world.broker->content_bytes(), 0u);
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(ContentBeyondItsMemory, stays_when_it_is_nowhere_else) {
    World world(with_content_memory(10));
    Client client(world);
    client.declare("q");
    client.publish("", "q", std::string(300, 't'), transient());
    EXPECT_GT(world.broker->content_bytes(), 300u);
    EXPECT_EQ(client.get("q", true)->body.size(), 300u);
    EXPECT_EQ(world.broker->content_bytes(), 0u);
}

TEST(ContentThatCannotBeReadBack, is_settled_and_never_served) {
    World world(with_content_memory(0));
    Client client(world);
    client.declare("q");
    for (const char* body : {"1", "2", "3"}) client.publish("", "q", body, persistent());
    world.journal.unreadable = {0, 2};
    EXPECT_EQ(client.get("q", true)->body, "2");
    client.consume("q");
    EXPECT_TRUE(client.silent());
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(ContentThatCannotBeReadNow, stays_in_its_place_and_is_served_later) {
    World world(with_content_memory(0));
    Client client(world);
    client.declare("q");
    for (const char* body : {"1", "2"}) client.publish("", "q", body, persistent());
    world.journal.reads_fail = true;
    client.send(1, BasicGet{0, "q", true});
    client.expect<BasicGetEmpty>(1);
    client.consume("q");
    EXPECT_TRUE(client.silent());
    EXPECT_EQ(world.journal.open_deliveries(), 2u);
    EXPECT_EQ(world.stats("q").ready, 2u);
    EXPECT_EQ(world.broker->next_deadline(), world.now + milliseconds(1'000)) << "tried again by itself";
    const std::size_t reads = world.journal.reads;
    client.publish("", "q", "3", persistent());
    EXPECT_EQ(world.journal.reads, reads) << "not at every turn";
    world.journal.reads_fail = false;
    world.advance(milliseconds(1'000));
    for (const char* body : {"1", "2", "3"}) EXPECT_EQ(client.expect_body(), body);
}

TEST(ContentThatCannotBeReadNow, is_not_dead_lettered_into_nothing) {
    World world(with_content_memory(0));
    Client client(world);
    client.declare("dead");
    TableWriter arguments;
    arguments.integer("x-message-ttl", 500).text("x-dead-letter-exchange", "");
    client.declare("q", arguments.text("x-dead-letter-routing-key", "dead").table());
    TableWriter short_queue;
    short_queue.integer("x-max-length", 1).text("x-dead-letter-exchange", "");
    client.declare("short", short_queue.text("x-dead-letter-routing-key", "dead").table());
    client.publish("", "q", "too old", persistent());
    client.publish("", "short", "too much", persistent());
    world.journal.reads_fail = true;
    client.publish("", "short", "kept", persistent());
    world.advance(milliseconds(500));
    EXPECT_EQ(world.journal.open_deliveries(), 3u);
    EXPECT_EQ(world.stats("dead").ready, 0u);
    world.journal.reads_fail = false;
    world.advance(milliseconds(1'000));
    EXPECT_THAT(client.drain("dead"), UnorderedElementsAre("too old", "too much"));
    EXPECT_EQ(world.stats("short").ready, 1u);
}

TEST(ContentThatCannotBeReadNow, comes_back_after_a_rejection) {
    World world(with_content_memory(0));
    Client client(world);
    client.declare("dead");
    TableWriter arguments;
    arguments.text("x-dead-letter-exchange", "").text("x-dead-letter-routing-key", "dead");
    client.declare("q", arguments.table());
    client.publish("", "q", "bad", persistent());
    client.consume("q");
    const std::uint64_t tag = client.expect_delivery().tag;
    world.journal.reads_fail = true;
    client.nack(tag, false);
    EXPECT_TRUE(client.silent());
    EXPECT_EQ(world.journal.open_deliveries(), 1u);
    world.journal.reads_fail = false;
    world.advance(milliseconds(1'000));
    const Delivered again = client.expect_delivery();
    EXPECT_TRUE(again.redelivered);
    client.nack(again.tag, false);
    EXPECT_THAT(client.drain("dead"), ElementsAre("bad"));
}

TEST(Recovery, keeps_only_the_content_there_is_memory_for) {
    World world(with_content_memory(1'000));
    {
        Client client(world);
        client.declare("q");
        for (int i = 0; i < 10; ++i) client.publish("", "q", std::string(300, 'x'), persistent());
    }
    world.restart();
    EXPECT_LE(world.broker->content_bytes(), 1'000u);
    EXPECT_EQ(world.stats("q").ready, 10u);
    EXPECT_EQ(world.stats("q").bytes, 3'000u);
}

TEST(Purge, from_outside_settles_everything_ready) {
    World world;
    Client client(world);
    client.declare("q");
    client.publish("", "q", "1", persistent());
    EXPECT_EQ(world.broker->purge("/", "q"), 1u);
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
    EXPECT_EQ(world.broker->purge("/", "missing").error().kind, Error::Kind::not_found);
}

TEST(AQueueThatIsNotUnderstood, keeps_its_messages_for_who_declares_it_anew) {
    World world;
    {
        Client client(world);
        client.declare("q");
        client.publish("", "q", "kept", persistent());
    }
    std::string value = world.journal.topology().at(queue_q);
    world.journal.put(queue_q, value.substr(0, 5) + "no table");
    world.restart();
    EXPECT_FALSE(world.has_queue("q"));
    EXPECT_THAT(world.broker->parked_queues(), ElementsAre("q"));
    EXPECT_EQ(world.journal.open_deliveries(), 1u);
    {
        Client client(world);
        client.declare("q");
        client.publish("", "q", "new", persistent());
    }
    EXPECT_THAT(world.broker->parked_queues(), IsEmpty());
    world.restart();
    Client client(world);
    EXPECT_THAT(client.drain("q"), ElementsAre("kept", "new"));
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(TheTopology, that_cannot_be_read_is_left_out) {
    World world;
    world.journal.put("x", "");
    world.journal.put("q", "abc");
    world.journal.put("b", "");
    for (const char* key : {"X", "Q\x05/", "B\x01/\x09", "Q\x01/name", "?"}) world.journal.put(key, "");
    world.restart();
    EXPECT_THAT(world.broker->queue_stats(), IsEmpty());
}

}  // namespace
}  // namespace havn::broker::testing
