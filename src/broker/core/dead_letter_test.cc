// Dead letters, priorities and the policies of [queue.NAME].
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::ElementsAre;

struct Death {
    std::string queue, reason, exchange, key, original_expiration;
    std::int64_t count = 0;
};

std::string text_of(const Table& table, std::string_view name) {
    const auto value = find(table, name);
    return value ? std::string(value->text().value_or("")) : "";
}

std::vector<Death> deaths_of(const Delivered& message) {
    std::vector<Death> deaths;
    const auto value = find(message.headers(), "x-death");
    if (!value) return deaths;
    ArrayReader reader(value->array().value());
    while (const auto element = reader.next()) {
        const Table table = element->table().value();
        const auto keys = find(table, "routing-keys")->array().value();
        deaths.push_back({text_of(table, "queue"), text_of(table, "reason"), text_of(table, "exchange"),
                          std::string(ArrayReader(keys).next()->text().value()),
                          text_of(table, "original-expiration"), find(table, "count")->integer().value()});
        EXPECT_EQ(find(table, "time")->type, 'T');
    }
    return deaths;
}

// A queue whose dead letters go to another through the default exchange.
void declare_with_dead_letters(Client& client, std::string_view queue, std::string_view to,
                               TableWriter more = {}) {
    more.text("x-dead-letter-exchange", "").text("x-dead-letter-routing-key", to);
    client.declare(queue, more.table());
}

TEST(ARejectedMessage, goes_to_the_dead_letter_exchange_with_its_story) {
    World world;
    Client client(world);
    declare_with_dead_letters(client, "q", "dead");
    client.declare("dead");
    client.bind("q", "amq.topic", "some.key");
    client.publish("amq.topic", "some.key", "body", persistent());
    client.nack(client.get("q")->tag, false);
    const auto dead = client.get("dead");
    ASSERT_TRUE(dead);
    EXPECT_EQ(dead->body, "body");
    EXPECT_EQ(dead->key, "dead");
    EXPECT_TRUE(dead->properties().persistent());
    const auto deaths = deaths_of(*dead);
    ASSERT_EQ(deaths.size(), 1u);
    EXPECT_EQ(deaths[0].queue, "q");
    EXPECT_EQ(deaths[0].reason, "rejected");
    EXPECT_EQ(deaths[0].exchange, "amq.topic");
    EXPECT_EQ(deaths[0].key, "some.key");
    EXPECT_EQ(deaths[0].count, 1);
    EXPECT_EQ(text_of(dead->headers(), "x-first-death-queue"), "q");
    EXPECT_EQ(text_of(dead->headers(), "x-first-death-reason"), "rejected");
    EXPECT_EQ(text_of(dead->headers(), "x-last-death-exchange"), "amq.topic");
    EXPECT_EQ(world.journal.open_deliveries(), 1u)
        << "the old delivery is settled, the new one is in the log";
}

TEST(ARejectedMessage, keeps_its_key_unless_another_is_set) {
    World world;
    Client client(world);
    TableWriter arguments;
    client.declare("q", arguments.text("x-dead-letter-exchange", "amq.fanout").table());
    client.declare("dead");
    client.bind("dead", "amq.fanout", "");
    client.publish("", "q", "body");
    client.nack(client.get("q")->tag, false);
    EXPECT_EQ(client.get("dead")->key, "q");
}

TEST(AnExpiredMessage, loses_its_expiration_and_is_counted) {
    World world;
    Client client(world);
    declare_with_dead_letters(client, "q", "dead");
    client.declare("dead");
    client.publish("", "q", "body", expiring("100"));
    world.advance(milliseconds(100));
    const auto dead = client.get("dead");
    ASSERT_TRUE(dead);
    EXPECT_FALSE(dead->properties().has(Properties::has_expiration));
    EXPECT_EQ(deaths_of(*dead)[0].reason, "expired");
    EXPECT_EQ(deaths_of(*dead)[0].original_expiration, "100");
}

TEST(ADroppedHead, is_a_dead_letter_too) {
    World world;
    Client client(world);
    declare_with_dead_letters(client, "q", "dead", TableWriter().integer("x-max-length", 1));
    client.declare("dead");
    client.publish("", "q", "1");
    client.publish("", "q", "2");
    const auto dead = client.get("dead");
    EXPECT_EQ(dead->body, "1");
    EXPECT_EQ(deaths_of(*dead)[0].reason, "maxlen");
}

TEST(Deaths, are_counted_by_queue_and_reason_newest_first) {
    World world;
    Client client(world);
    declare_with_dead_letters(client, "work", "retry");
    declare_with_dead_letters(client, "retry", "work", TableWriter().integer("x-message-ttl", 100));
    client.publish("", "work", "body");
    for (int round = 0; round < 3; ++round) {
        client.nack(client.get("work")->tag, false);
        world.advance(milliseconds(100));
    }
    const auto message = client.get("work");
    ASSERT_TRUE(message) << "the circle is allowed: a consumer rejects each time";
    const auto deaths = deaths_of(*message);
    ASSERT_EQ(deaths.size(), 2u);
    EXPECT_EQ(deaths[0].queue, "retry");
    EXPECT_EQ(deaths[0].reason, "expired");
    EXPECT_EQ(deaths[0].count, 3);
    EXPECT_EQ(deaths[1].queue, "work");
    EXPECT_EQ(deaths[1].count, 3);
    EXPECT_EQ(text_of(message->headers(), "x-first-death-queue"), "work");
    EXPECT_EQ(text_of(message->headers(), "x-last-death-queue"), "retry");
}

TEST(ACircle, without_any_consumer_ends) {
    World world;
    Client client(world);
    declare_with_dead_letters(client, "a", "b", TableWriter().integer("x-message-ttl", 10));
    declare_with_dead_letters(client, "b", "a", TableWriter().integer("x-message-ttl", 10));
    client.publish("", "a", "body", persistent());
    for (int i = 0; i < 5; ++i) world.advance(milliseconds(10));
    EXPECT_EQ(world.stats("a").ready + world.stats("b").ready, 0u);
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(Priorities, are_served_highest_first_and_in_order_within_one) {
    World world;
    Client client(world);
    TableWriter arguments;
    client.declare("q", arguments.integer("x-max-priority", 5).table());
    const auto publish = [&](std::string_view body, int priority) {
        Properties properties = persistent();
        if (priority >= 0) properties.flags |= Properties::has_priority;
        properties.priority = static_cast<Octet>(std::max(priority, 0));
        client.publish("", "q", body, properties);
    };
    publish("none", -1);
    publish("low", 0);
    publish("high", 5);
    publish("above the highest", 9);
    publish("middle", 3);
    const auto taken = client.get("q");
    EXPECT_EQ(taken->body, "high");
    client.nack(taken->tag, true);
    EXPECT_THAT(client.drain("q"), ElementsAre("high", "above the highest", "middle", "none", "low"));
}

Config with_policy(std::uint32_t attempts, milliseconds backoff_min = milliseconds(0),
                   milliseconds backoff_max = milliseconds(0)) {
    Config config;
    config.vhosts[0].queues.push_back({.name = "jobs",
                                       .message_ttl = {},
                                       .max_attempts = attempts,
                                       .backoff_min = backoff_min,
                                       .backoff_max = backoff_max});
    return config;
}

TEST(APolicy, declares_its_queue_durable_and_as_a_client_would) {
    World world(with_policy(3));
    EXPECT_TRUE(world.stats("jobs").durable);
    EXPECT_TRUE(world.stats("jobs.failed").durable);
    Client client(world);
    EXPECT_EQ(client.declare("jobs").queue, "jobs");
}

TEST(APolicy, moves_a_message_aside_after_its_last_attempt) {
    World world(with_policy(3));
    Client client(world);
    client.publish("", "jobs", "poison", persistent());
    for (int attempt = 1; attempt <= 3; ++attempt) {
        const auto message = client.get("jobs");
        ASSERT_TRUE(message) << attempt;
        client.nack(message->tag, true);
    }
    EXPECT_FALSE(client.get("jobs"));
    const auto failed = client.get("jobs.failed");
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->body, "poison");
    EXPECT_EQ(deaths_of(*failed)[0].reason, "delivery_limit");
    EXPECT_EQ(deaths_of(*failed)[0].queue, "jobs");
}

TEST(APolicy, counts_a_lost_connection_but_not_an_orderly_stop) {
    World world(with_policy(2));
    Client publisher(world);
    publisher.publish("", "jobs", "job", persistent());
    for (int i = 0; i < 5; ++i) {
        Client polite(world);
        ASSERT_TRUE(polite.get("jobs"));
        polite.ask<ConnectionCloseOk>(0, ConnectionClose{200, "bye", 0, 0});
    }
    for (int i = 0; i < 2; ++i) {
        Client crashing(world);
        ASSERT_TRUE(crashing.get("jobs")) << i;
        crashing.vanish();
    }
    EXPECT_EQ(world.stats("jobs").ready, 0u);
    EXPECT_EQ(world.stats("jobs.failed").ready, 1u);
}

TEST(APolicy, waits_longer_after_every_failure) {
    World world(with_policy(0, seconds(1), seconds(3)));
    Client client(world);
    client.publish("", "jobs", "job", persistent());
    client.consume("jobs");
    std::uint64_t tag = client.expect_delivery().tag;
    for (const int wait : {1'000, 2'000, 3'000, 3'000}) {
        client.nack(tag, true);
        EXPECT_EQ(world.broker->next_deadline(), world.now + milliseconds(wait));
        EXPECT_EQ(world.stats("jobs").ready, 1u) << "it waits, but it is there";
        world.advance(milliseconds(wait - 1));
        EXPECT_TRUE(client.silent());
        world.advance(milliseconds(1));
        tag = client.expect_delivery().tag;
    }
}

TEST(APolicy, comes_into_force_for_a_queue_that_is_there) {
    World world;
    Client client(world);
    client.declare("jobs");
    world.broker->apply(with_policy(1));
    client.publish("", "jobs", "job", persistent());
    client.nack(client.get("jobs")->tag, true);
    EXPECT_EQ(world.stats("jobs.failed").ready, 1u);
    client.ask<QueueDeleteOk>(1, QueueDelete{0, "jobs.failed", false, false, false});
    client.publish("", "jobs", "job", persistent());
    client.nack(client.get("jobs")->tag, true);
    EXPECT_EQ(world.stats("jobs.failed").ready, 1u) << "made anew rather than losing the message";
}

TEST(APolicy, limits_the_time_to_live_without_showing_in_the_arguments) {
    Config config = with_policy(0);
    config.vhosts[0].queues[0].message_ttl = milliseconds(500);
    World world(config);
    Client client(world);
    client.declare("jobs");
    client.publish("", "jobs", "job", persistent());
    world.advance(milliseconds(500));
    EXPECT_EQ(world.stats("jobs").ready, 0u);
}

TEST(AConfig, comes_back_from_json_as_it_went) {
    Config config = with_policy(5, seconds(1), seconds(300));
    config.vhosts[0].queues[0].message_ttl = milliseconds(7);
    config.users.push_back({"shop", "secret", false, {"/", "other"}});
    config.revision = 3;
    config.memory_bytes_for_content = 1;
    const auto back = config_from_json(to_json(config));
    ASSERT_TRUE(back);
    EXPECT_EQ(to_json(*back), to_json(config));
    EXPECT_EQ(back->vhosts[0].queues[0].backoff_max, seconds(300));
    EXPECT_FALSE(config_from_json(Json{{"users", "nobody"}}));
}

TEST(ADeliveryLimit, is_counted_for_the_client_and_ends_in_a_dead_letter) {
    World world;
    Client client(world);
    client.declare("dead");
    declare_with_dead_letters(client, "q", "dead", TableWriter().int32("x-delivery-limit", 2));
    client.publish("", "q", "poison", persistent());
    for (std::int64_t attempt = 0; attempt < 3; ++attempt) {
        const auto message = client.get("q");
        const auto count = find(message->headers(), "x-delivery-count");
        EXPECT_EQ(count ? count->integer().value() : 0, attempt);
        client.nack(message->tag, true);
    }
    EXPECT_FALSE(client.get("q"));
    EXPECT_EQ(deaths_of(*client.get("dead"))[0].reason, "delivery_limit");
}

TEST(APolicy, does_not_count_what_was_merely_sent_ahead) {
    World world(with_policy(2));
    {
        Client publisher(world);
        for (const char* body : {"poison", "innocent", "bystander"}) {
            publisher.publish("", "jobs", body, persistent());
        }
    }
    for (int crash = 0; crash < 2; ++crash) {
        Client worker(world);
        worker.qos(100);
        worker.consume("jobs");
        for (int i = 0; i < 3; ++i) worker.expect_delivery();
        worker.vanish();
    }
    Client client(world);
    EXPECT_EQ(client.drain("jobs.failed"), std::vector<std::string>{"poison"});
    EXPECT_THAT(client.drain("jobs"), ElementsAre("innocent", "bystander"));
}

TEST(AHeader, too_large_for_the_consumers_frames_is_left_out) {
    World world;
    Client publisher(world), small(world, {.frame_max = 4'096});
    publisher.declare("q");
    TableWriter headers;
    headers.text("x", std::string(6'000, 'h'));
    Properties properties = persistent();
    properties.flags |= Properties::has_headers | Properties::has_correlation_id;
    properties.headers = headers.table();
    properties.correlation_id = "7";
    publisher.publish("", "q", "body", properties);
    const auto message = small.get("q");
    EXPECT_EQ(message->body, "body");
    EXPECT_EQ(message->properties().correlation_id, "7");
    EXPECT_FALSE(message->properties().has(Properties::has_headers));
    small.nack(message->tag, true);
    EXPECT_TRUE(find(publisher.get("q")->headers(), "x")) << "who can take it gets it whole";
}

TEST(Deaths, are_kept_only_as_long_as_they_fit_a_frame) {
    World world;
    Client client(world);
    const int hops = 45;
    for (int i = 0; i < hops; ++i) {
        declare_with_dead_letters(client, "q" + std::to_string(i), "q" + std::to_string(i + 1));
    }
    client.declare("q" + std::to_string(hops));
    client.publish("", "q0", "traveller", persistent());
    for (int i = 0; i < hops; ++i) {
        const auto message = client.get("q" + std::to_string(i));
        ASSERT_TRUE(message) << i;
        client.nack(message->tag, false);
    }
    const auto arrived = client.get("q" + std::to_string(hops));
    EXPECT_EQ(deaths_of(*arrived).size(), 32u);
    EXPECT_EQ(deaths_of(*arrived)[0].queue, "q" + std::to_string(hops - 1));
    EXPECT_EQ(text_of(arrived->headers(), "x-first-death-queue"), "q0");
}

}  // namespace
}  // namespace havn::broker::testing
