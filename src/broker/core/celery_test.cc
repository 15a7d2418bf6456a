// What Celery 5 and kombu 5 declare and do.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::ElementsAre;

QueueDeclare auto_delete_queue(std::string_view name, const Table& arguments) {
    QueueDeclare method;
    method.queue = name;
    method.auto_delete = true;
    method.arguments = arguments;
    return method;
}

TEST(Celery, task_queue_is_durable_and_bound_to_its_own_exchange) {
    World world;
    Client client(world);
    client.declare_exchange("celery", "direct");
    client.declare("celery");
    client.bind("celery", "celery", "celery");
    client.publish("celery", "celery", "task", persistent());
    EXPECT_THAT(client.drain("celery"), ElementsAre("task"));
}

TEST(Celery, control_queues_are_transient_shared_and_expire) {
    World world;
    Client client(world);
    auto exchange = Client::exchange_declare("celery.pidbox", "fanout");
    exchange.durable = false;
    client.ask<ExchangeDeclareOk>(1, exchange);
    TableWriter as_int32, as_int64;
    as_int32.int32("x-expires", 10'000).int32("x-message-ttl", 300'000);
    as_int64.integer("x-expires", 10'000).integer("x-message-ttl", 300'000);
    client.ask<QueueDeclareOk>(1, auto_delete_queue("w.celery.pidbox", as_int32.table()));
    client.ask<QueueDeclareOk>(1, auto_delete_queue("w.celery.pidbox", as_int64.table()));
    client.bind("w.celery.pidbox", "celery.pidbox", "");
    Client other(world);
    other.publish("celery.pidbox", "", "ping");
    EXPECT_THAT(other.drain("w.celery.pidbox"), ElementsAre("ping")) << "not exclusive";
    world.advance(milliseconds(10'000));
    EXPECT_FALSE(world.has_queue("w.celery.pidbox"));
}

TEST(Celery, result_queue_takes_a_long_expiry_and_its_consumer_may_add_queues_later) {
    World world;
    Client client(world);
    TableWriter expires;
    const Table arguments = expires.integer("x-expires", 86'400'000).table();
    client.ask<QueueDeclareOk>(1, auto_delete_queue("oid-1", arguments));
    client.consume("oid-1", "1", true);
    client.ask<QueueDeclareOk>(1, auto_delete_queue("oid-2", arguments));
    client.consume("oid-2", "2", true);
    Client worker(world);
    worker.publish("", "oid-1", "a");
    worker.publish("", "oid-2", "b");
    EXPECT_EQ(client.expect_body(), "a");
    EXPECT_EQ(client.expect_body(), "b");
}

TEST(Celery, events_are_routed_by_topic) {
    World world;
    Client client(world);
    client.declare_exchange("celeryev", "topic");
    TableWriter arguments;
    arguments.integer("x-message-ttl", 5'000).integer("x-expires", 60'000);
    client.ask<QueueDeclareOk>(1, auto_delete_queue("celeryev.1", arguments.table()));
    client.bind("celeryev.1", "celeryev", "worker.#");
    client.publish("celeryev", "worker.heartbeat", "beat");
    client.publish("celeryev", "task.received", "not asked for");
    EXPECT_THAT(client.drain("celeryev.1"), ElementsAre("beat"));
}

// kombu's native delay: one exchange and queue per bit of the delay, the longest first. The routing key holds
// the delay in 28 binary digits and the destination; bit N set means a stay in queue N.
struct DelayLevels {
    static constexpr int levels = 28;

    static std::string exchange(int level) { return "celery_delayed_" + std::to_string(level); }
    static std::string pattern(int level, char bit) {
        std::string pattern;
        for (int above = levels - 1; above > level; --above) pattern += "*.";
        return pattern + bit + ".#";
    }
    static std::string key(std::uint32_t delay_seconds, std::string_view destination) {
        std::string key;
        for (int level = levels - 1; level >= 0; --level) key += (delay_seconds >> level & 1) ? "1." : "0.";
        return key.append(destination);
    }
    static void declare(Client& client) {
        for (int level = 0; level < levels; ++level) client.declare_exchange(exchange(level), "topic");
        client.declare_exchange("celery_delayed_delivery", "topic");
        for (int level = levels - 1; level >= 0; --level) {
            const std::string next = level > 0 ? exchange(level - 1) : "celery_delayed_delivery";
            TableWriter arguments;
            arguments.text("x-dead-letter-exchange", next).integer("x-message-ttl", (1LL << level) * 1'000);
            arguments.text("x-queue-type", "quorum").text("x-overflow", "reject-publish");
            arguments.text("x-dead-letter-strategy", "at-least-once");
            client.declare(exchange(level), arguments.table());
            client.bind(exchange(level), exchange(level), pattern(level, '1'));
            client.bind_exchange(next, exchange(level), pattern(level, '0'));
        }
    }
};

TEST(Celery, native_delay_delivers_at_the_second_and_not_before) {
    World world;
    Client client(world);
    DelayLevels::declare(client);
    client.declare("tasks");
    client.declare_exchange("tasks", "topic");
    client.bind_exchange("tasks", "celery_delayed_delivery", "#.tasks");
    client.bind("tasks", "tasks", "#.tasks");
    for (const std::uint32_t delay : {0u, 1u, 5u, 1'000u}) {
        const std::string key = DelayLevels::key(delay, "tasks");
        client.publish(DelayLevels::exchange(27), key, std::to_string(delay), persistent());
    }
    EXPECT_THAT(client.drain("tasks"), ElementsAre("0"));
    world.advance(milliseconds(999));
    EXPECT_EQ(world.stats("tasks").ready, 0u);
    const Time end = world.now + seconds(1'000);
    while (world.broker->next_deadline() <= end) {
        const Time due = world.broker->next_deadline();
        world.advance(std::chrono::ceil<milliseconds>(due - world.now));
        if (world.stats("tasks").ready == 0) continue;
        const auto message = client.get("tasks", true);
        const auto elapsed = std::chrono::duration_cast<seconds>(world.now - Time(std::chrono::hours(1)));
        EXPECT_EQ(message->body, std::to_string(elapsed.count()));
    }
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(Celery, late_acknowledged_tasks_of_a_killed_worker_go_to_the_next) {
    World world;
    Client client(world);
    client.declare("celery");
    client.publish("", "celery", "task", persistent());
    Client killed(world);
    killed.qos(4);
    killed.consume("celery", "None1");
    EXPECT_EQ(killed.expect_body(), "task");
    Client next(world);
    next.consume("celery", "None1");
    EXPECT_TRUE(next.silent());
    world.now += seconds(120);
    killed.connection().on_time(world.now);  // two intervals of silence
    ASSERT_TRUE(killed.closed());
    killed.vanish();
    EXPECT_TRUE(next.expect_delivery().redelivered);
}

}  // namespace
}  // namespace havn::broker::testing
