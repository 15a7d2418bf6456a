// Exchanges, queues and bindings: declaring, deleting, what is equivalent, who may use what.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ExchangeDeclare passive_exchange(std::string_view name) {
    ExchangeDeclare method;
    method.exchange = name;
    method.passive = true;
    return method;
}
QueueDeclare passive_queue(std::string_view name) {
    QueueDeclare method;
    method.queue = name;
    method.passive = true;
    return method;
}

// What the broker says to `method`, on a channel of its own.
template <class Method>
std::string refusal(Client& client, const Method& method) {
    client.open(9);
    client.send(9, method);
    return client.expect_channel_close(9);
}

TEST(ExchangesOfTheHouse, are_there) {
    World world;
    Client client(world);
    for (const char* name : {"amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"}) {
        client.ask<ExchangeDeclareOk>(1, passive_exchange(name));
    }
    client.declare_exchange("amq.topic", "topic");
}

TEST(ExchangesOfTheHouse, are_not_for_clients_to_make_or_delete) {
    World world;
    Client client(world);
    client.declare("q");
    const std::string_view reserved =
        "403 ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'";
    EXPECT_EQ(refusal(client, Client::exchange_declare("amq.mine", "direct")), reserved);
    EXPECT_EQ(refusal(client, ExchangeDelete{0, "amq.mine", false, false}), reserved);
    EXPECT_EQ(refusal(client, Client::queue_declare("amq.mine")),
              "403 ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'");
    const std::string_view on_default =
        "403 ACCESS_REFUSED - operation not permitted on the default exchange";
    EXPECT_EQ(refusal(client, QueueBind{0, "q", "", "k", false, {}}), on_default);
    EXPECT_EQ(refusal(client, QueueUnbind{0, "q", "", "k", {}}), on_default);
    EXPECT_EQ(refusal(client, ExchangeDelete{0, "", false, false}), on_default);
    EXPECT_EQ(refusal(client, ExchangeBind{0, "amq.direct", "", "k", false, {}}), on_default);
}

TEST(TheDefaultExchange, leads_to_every_queue_by_its_name) {
    World world;
    Client client(world);
    client.declare("q");
    client.publish("", "q", "hello");
    EXPECT_THAT(client.drain("q"), ElementsAre("hello"));
}

TEST(AnExchange, declared_again_must_be_the_same) {
    World world;
    Client client(world);
    client.declare_exchange("e", "fanout");
    client.declare_exchange("e", "fanout");
    EXPECT_EQ(
        refusal(client, Client::exchange_declare("e", "direct")),
        "406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'e' in vhost '/': received 'direct' "
        "but current is 'fanout'");
    auto transient = Client::exchange_declare("e", "fanout");
    transient.durable = false;
    EXPECT_THAT(refusal(client, transient), HasSubstr("inequivalent arg 'durable'"));
    TableWriter arguments;
    arguments.text("alternate-exchange", "other");
    auto alternate = Client::exchange_declare("e", "fanout");
    alternate.arguments = arguments.table();
    EXPECT_THAT(
        refusal(client, alternate),
        HasSubstr("inequivalent arg 'alternate-exchange' for exchange 'e' in vhost '/': received the value "
                  "'other' of type 'longstr' but current is none"));
}

TEST(AnExchange, of_an_unknown_type_closes_the_connection) {
    World world;
    Client client(world);
    client.send(1, Client::exchange_declare("e", "sorted"));
    EXPECT_EQ(client.expect_connection_close(), "503 COMMAND_INVALID - unknown exchange type 'sorted'");
}

TEST(WhatIsMissing, is_not_found_when_asked_for_and_fine_when_deleted) {
    World world;
    Client client(world);
    EXPECT_EQ(refusal(client, passive_queue("q")), "404 NOT_FOUND - no queue 'q' in vhost '/'");
    EXPECT_EQ(refusal(client, passive_exchange("e")), "404 NOT_FOUND - no exchange 'e' in vhost '/'");
    EXPECT_EQ(refusal(client, QueueBind{0, "q", "amq.topic", "", false, {}}),
              "404 NOT_FOUND - no queue 'q' in vhost '/'");
    EXPECT_EQ(client.ask<QueueDeleteOk>(1, QueueDelete{0, "q", false, false, false}).message_count, 0u);
    client.ask<ExchangeDeleteOk>(1, ExchangeDelete{0, "e", false, false});
}

TEST(AQueue, declared_again_must_be_the_same) {
    World world;
    Client client(world);
    TableWriter arguments;
    arguments.int32("x-message-ttl", 1'000);
    client.declare("q", arguments.table());
    EXPECT_EQ(refusal(client, Client::queue_declare("q", arguments.table(), false)),
              "406 PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received "
              "'false' but "
              "current is 'true'");
    EXPECT_EQ(refusal(client, Client::queue_declare("q")),
              "406 PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': "
              "received none "
              "but current is the value '1000' of type 'signedint'");
}

TEST(AQueuesArguments, are_the_same_if_their_values_are) {
    World world;
    Client client(world);
    TableWriter small, large, with_unknown;
    small.value("x-message-ttl", {'b', "\x64"});
    large.integer("x-message-ttl", 100);
    with_unknown.integer("x-message-ttl", 100).text("x-of-my-own", "anything");
    client.declare("q", small.table());
    client.declare("q", large.table());
    client.declare("q", with_unknown.table());
}

TEST(AQueuesArguments, are_refused_when_they_make_no_sense) {
    World world;
    Client client(world);
    const auto refused = [&](TableWriter& arguments) {
        return refusal(client, Client::queue_declare("q", arguments.table()));
    };
    TableWriter zero, negative, real, overflow, priority, type, key;
    EXPECT_THAT(refused(zero.integer("x-expires", 0)),
                StartsWith("406 PRECONDITION_FAILED - invalid arg 'x-expires'"));
    EXPECT_THAT(refused(negative.integer("x-message-ttl", -1)), HasSubstr("invalid arg 'x-message-ttl'"));
    EXPECT_THAT(refused(real.value("x-message-ttl", {'d', std::string_view("\x3f\xf0\0\0\0\0\0\0", 8)})),
                HasSubstr("unacceptable type: 'double'"));
    EXPECT_THAT(refused(overflow.text("x-overflow", "explode")), HasSubstr("invalid arg 'x-overflow'"));
    EXPECT_THAT(refused(priority.integer("x-max-priority", 256)), HasSubstr("invalid arg 'x-max-priority'"));
    EXPECT_THAT(refused(type.text("x-queue-type", "stream")), HasSubstr("invalid arg 'x-queue-type'"));
    EXPECT_THAT(refused(key.text("x-dead-letter-routing-key", "k")),
                HasSubstr("routing key without an exchange"));
    TableWriter quorum;
    client.declare("fine", quorum.text("x-queue-type", "quorum").table());
}

TEST(AnExclusiveQueue, is_locked_for_others_and_goes_with_its_connection) {
    World world;
    Client other(world);
    {
        Client owner(world);
        auto method = Client::queue_declare("mine");
        method.exclusive = true;
        owner.ask<QueueDeclareOk>(1, method);
        const std::string_view locked =
            "405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine'";
        EXPECT_THAT(refusal(other, method), StartsWith(locked));
        EXPECT_THAT(refusal(other, Client::queue_declare("mine")), StartsWith(locked));
        EXPECT_THAT(refusal(other, passive_queue("mine")), StartsWith(locked));
        EXPECT_THAT(refusal(other, QueueDelete{0, "mine", false, false, false}), StartsWith(locked));
        EXPECT_THAT(refusal(other, BasicGet{0, "mine", true}), StartsWith(locked));
        EXPECT_THAT(refusal(other, BasicConsume{0, "mine", "c", false, false, false, false, {}}),
                    StartsWith(locked));
    }
    EXPECT_FALSE(world.has_queue("mine"));
}

// The close of a connection looks at its own queues only: those that went before must not be among them.
TEST(AnExclusiveQueue, that_went_before_its_connection_is_not_looked_for_at_the_close) {
    World world;
    Client other(world);
    other.declare("shared");
    {
        Client owner(world);
        for (const char* name : {"deleted", "expired", "auto", "stays"}) {
            QueueDeclare declare{0, name, false, false, true, std::string_view(name) == "auto", false, {}};
            TableWriter lifetime;
            lifetime.integer("x-expires", 1'000);
            if (std::string_view(name) == "expired") declare.arguments = lifetime.table();
            owner.ask<QueueDeclareOk>(1, declare);
        }
        owner.ask<QueueDeleteOk>(1, QueueDelete{0, "deleted", false, false, false});
        owner.consume("auto", "c");
        owner.ask<BasicCancelOk>(1, BasicCancel{"c", false});
        world.advance(seconds(2));
        EXPECT_EQ(world.broker->queue_stats().size(), 2u);
        owner.vanish();
    }
    ASSERT_EQ(world.broker->queue_stats().size(), 1u);
    EXPECT_EQ(world.broker->queue_stats()[0].name, "shared");
}

TEST(AQueueWithoutAName, is_given_one) {
    World world;
    Client client(world);
    const auto first = std::string(client.declare("").queue), second = std::string(client.declare("").queue);
    EXPECT_THAT(first, StartsWith("amq.gen-"));
    EXPECT_NE(first, second);
    client.publish("", second, "hello");
    EXPECT_EQ(client.get("")->body, "hello") << "an empty name means the queue declared last";
}

TEST(AQueueWithoutAName, is_bound_by_the_name_it_was_given) {
    World world;
    Client client(world);
    const auto name = std::string(client.declare("").queue);
    client.bind("", "amq.direct", "");
    client.publish("amq.direct", name, "hello");
    EXPECT_EQ(client.get(name)->body, "hello");
}

TEST(LineEnds, are_not_part_of_names) {
    World world;
    Client client(world);
    EXPECT_EQ(client.declare("na\r\nme").queue, "name");
    client.declare_exchange("ex\nchange", "direct");
    client.ask<ExchangeDeclareOk>(1, passive_exchange("exchange"));
}

TEST(Declare, tells_messages_and_consumers) {
    World world;
    Client client(world);
    client.declare("q");
    client.publish("", "q", "1");
    client.publish("", "q", "2");
    client.get("q");
    const auto ok = client.ask<QueueDeclareOk>(1, passive_queue("q"));
    EXPECT_EQ(ok.message_count, 1u) << "ready ones only";
    EXPECT_EQ(ok.consumer_count, 0u);
    client.open(2);
    client.qos(0);
    client.consume("q", "c", true, 2);
    client.expect_delivery(2);
    EXPECT_EQ(client.ask<QueueDeclareOk>(1, passive_queue("q")).consumer_count, 1u);
}

TEST(Purge, leaves_what_is_unacknowledged) {
    World world;
    Client client(world);
    client.declare("q");
    for (const char* body : {"1", "2", "3"}) client.publish("", "q", body, persistent());
    client.get("q");
    EXPECT_EQ(client.ask<QueuePurgeOk>(1, QueuePurge{0, "q", false}).message_count, 2u);
    EXPECT_EQ(world.stats("q").unacked, 1u);
    EXPECT_EQ(world.journal.open_deliveries(), 1u);
}

TEST(Delete, can_insist_on_unused_and_empty) {
    World world;
    Client client(world);
    client.declare("q");
    client.publish("", "q", "1", persistent());
    EXPECT_EQ(refusal(client, QueueDelete{0, "q", false, true, false}),
              "406 PRECONDITION_FAILED - queue 'q' in vhost '/' not empty");
    client.open(2);
    client.consume("q", "c", false, 2);
    client.expect_delivery(2);
    EXPECT_EQ(refusal(client, QueueDelete{0, "q", true, false, false}),
              "406 PRECONDITION_FAILED - queue 'q' in vhost '/' in use");
    client.bind("q", "amq.direct", "k");
    client.declare_exchange("e", "direct");
    client.bind("q", "e", "k");
    EXPECT_EQ(refusal(client, ExchangeDelete{0, "e", true, false}),
              "406 PRECONDITION_FAILED - exchange 'e' in vhost '/' in use");
}

TEST(AnAutoDeleteQueue, dies_with_its_last_consumer_and_not_before_the_first) {
    World world;
    Client client(world);
    auto method = Client::queue_declare("q");
    method.auto_delete = true;
    client.ask<QueueDeclareOk>(1, method);
    EXPECT_TRUE(world.has_queue("q"));
    client.consume("q", "one");
    client.consume("q", "two");
    client.ask<BasicCancelOk>(1, BasicCancel{"one", false});
    EXPECT_TRUE(world.has_queue("q"));
    client.ask<BasicCancelOk>(1, BasicCancel{"two", false});
    EXPECT_FALSE(world.has_queue("q"));
}

TEST(AnUnusedQueue, expires_and_use_keeps_it_alive) {
    World world;
    Client client(world);
    TableWriter arguments;
    arguments.integer("x-expires", 1'000);
    const Table table = arguments.table();
    client.declare("q", table);
    for (int i = 0; i < 3; ++i) {
        world.advance(milliseconds(900));
        i == 0 ? void(client.get("q")) : void(client.declare("q", table));
    }
    client.consume("q", "c");
    world.advance(milliseconds(5'000));
    EXPECT_TRUE(world.has_queue("q")) << "it has a consumer";
    client.ask<BasicCancelOk>(1, BasicCancel{"c", false});
    EXPECT_LE(world.broker->next_deadline(), world.now + milliseconds(1'000));
    world.advance(milliseconds(999));
    EXPECT_TRUE(world.has_queue("q"));
    world.advance(milliseconds(1));
    EXPECT_FALSE(world.has_queue("q"));
}

TEST(Bindings, of_exchanges_to_exchanges_carry_messages) {
    World world;
    Client client(world);
    client.declare("q");
    client.declare_exchange("source", "topic");
    client.declare_exchange("middle", "fanout");
    client.bind_exchange("middle", "source", "a.#");
    client.bind("q", "middle", "");
    client.publish("source", "a.b", "yes");
    client.publish("source", "b.a", "no");
    EXPECT_THAT(client.drain("q"), ElementsAre("yes"));
    client.ask<ExchangeUnbindOk>(1, ExchangeUnbind{0, "middle", "source", "a.#", false, {}});
    client.publish("source", "a.b", "no more");
    EXPECT_THAT(client.drain("q"), ElementsAre());
}

TEST(Bindings, in_a_circle_end) {
    World world;
    Client client(world);
    client.declare("q");
    client.declare_exchange("a", "fanout");
    client.declare_exchange("b", "fanout");
    client.bind_exchange("a", "b", "");
    client.bind_exchange("b", "a", "");
    client.bind("q", "a", "");
    client.bind("q", "b", "");
    client.publish("a", "", "once");
    EXPECT_THAT(client.drain("q"), ElementsAre("once"));
}

TEST(AnAutoDeleteExchange, dies_with_its_last_binding) {
    World world;
    Client client(world);
    client.declare("q");
    client.declare_exchange("target", "fanout");
    auto method = Client::exchange_declare("e", "direct");
    method.auto_delete = true;
    client.ask<ExchangeDeclareOk>(1, method);
    client.bind("q", "e", "k");
    client.bind_exchange("target", "e", "k");
    client.ask<QueueUnbindOk>(1, QueueUnbind{0, "q", "e", "k", {}});
    client.ask<ExchangeDeclareOk>(1, passive_exchange("e"));
    client.ask<ExchangeUnbindOk>(1, ExchangeUnbind{0, "target", "e", "k", false, {}});
    EXPECT_THAT(refusal(client, passive_exchange("e")), StartsWith("404"));
}

TEST(AnInternalExchange, takes_nothing_from_publishers) {
    World world;
    Client client(world);
    auto method = Client::exchange_declare("e", "fanout");
    method.internal = true;
    client.ask<ExchangeDeclareOk>(1, method);
    client.publish("e", "", "x");
    EXPECT_EQ(client.expect_channel_close(),
              "403 ACCESS_REFUSED - cannot publish to internal exchange 'e' in vhost '/'");
}

TEST(AnAlternateExchange, gets_what_nobody_wanted) {
    World world;
    Client client(world);
    client.declare("q");
    client.declare("lost");
    client.declare_exchange("rest", "fanout");
    client.bind("lost", "rest", "");
    TableWriter arguments;
    arguments.text("alternate-exchange", "rest");
    auto method = Client::exchange_declare("e", "direct");
    method.arguments = arguments.table();
    client.ask<ExchangeDeclareOk>(1, method);
    client.bind("q", "e", "k");
    client.publish("e", "k", "known");
    client.publish("e", "other", "unknown", transient(), true);
    EXPECT_THAT(client.drain("q"), ElementsAre("known"));
    EXPECT_THAT(client.drain("lost"), ElementsAre("unknown"));
}

Properties with_headers(const Table& headers) {
    Properties properties;
    properties.flags = Properties::has_headers;
    properties.headers = headers;
    return properties;
}

TEST(AHeadersExchange, matches_all_or_any) {
    World world;
    Client client(world);
    for (const char* mode : {"all", "any", "all-with-x"}) {
        client.declare(mode);
        TableWriter wanted;
        wanted.text("x-match", mode).integer("number", 1).text("x-word", "w").value("present", {'V', {}});
        client.bind(mode, "amq.headers", "", wanted.table());
    }
    const auto publish = [&](std::string_view body, TableWriter& headers) {
        client.publish("amq.headers", "", body, with_headers(headers.table()));
    };
    TableWriter both, one, x_only, everything;
    publish("both", both.int32("number", 1).text("present", "of any kind"));
    publish("one", one.integer("number", 1));
    publish("x only", x_only.text("x-word", "w"));
    publish("everything", everything.integer("number", 1).boolean("present", false).text("x-word", "w"));
    EXPECT_THAT(client.drain("all"), ElementsAre("both", "everything"));
    EXPECT_THAT(client.drain("any"), ElementsAre("both", "one", "everything"));
    EXPECT_THAT(client.drain("all-with-x"), ElementsAre("everything"));
    TableWriter wrong;
    EXPECT_THAT(
        refusal(client, QueueBind{0, "all", "amq.headers", "", false, wrong.text("x-match", "some").table()}),
        HasSubstr("Invalid x-match field value \"some\""));
}

TEST(Routes, are_asked_anew_when_the_topology_changes) {
    World world;
    Client client(world);
    client.declare("a");
    client.declare("b");
    client.bind("a", "amq.topic", "k");
    client.publish("amq.topic", "k", "1");
    client.bind("b", "amq.topic", "#");
    client.publish("amq.topic", "k", "2");
    client.ask<QueueDeleteOk>(1, QueueDelete{0, "a", false, false, false});
    client.publish("amq.topic", "k", "3");
    EXPECT_THAT(client.drain("b"), ElementsAre("2", "3"));
}

TEST(AnAutoDeleteExchange, goes_with_the_last_queue_or_exchange_it_led_to) {
    World world;
    Client client(world);
    for (const char* name : {"first", "second"}) {
        ExchangeDeclare method = Client::exchange_declare(name, "fanout");
        method.auto_delete = true;
        client.ask<ExchangeDeclareOk>(1, method);
    }
    client.declare("q");
    client.bind_exchange("second", "first", "");
    client.bind("q", "second", "");
    client.ask<QueueDeleteOk>(1, QueueDelete{0, "q", false, false, false});
    ExchangeDeclare passive = Client::exchange_declare("second", "fanout");
    passive.passive = true;
    for (const char* name : {"second", "first"}) {
        passive.exchange = name;
        client.send(1, passive);
        EXPECT_THAT(client.expect_channel_close(), StartsWith("404 NOT_FOUND"));
        client.open(1);
    }
    EXPECT_EQ(world.journal.topology().count("xfirst"), 0u);
}

TEST(AnAutoDeleteExchange, in_a_circle_goes_once) {
    World world;
    Client client(world);
    for (const char* name : {"first", "second"}) {
        ExchangeDeclare method = Client::exchange_declare(name, "fanout");
        method.auto_delete = true;
        client.ask<ExchangeDeclareOk>(1, method);
    }
    client.bind_exchange("second", "first", "");
    client.bind_exchange("first", "second", "");
    client.bind_exchange("first", "first", "");
    client.ask<ExchangeDeleteOk>(1, ExchangeDelete{0, "first", false, false});
    client.declare_exchange("first", "direct");
    client.declare_exchange("second", "direct");
}

TEST(Unbind, of_what_is_not_there_is_fine) {
    World world;
    Client client(world);
    client.declare("q");
    client.declare_exchange("e", "direct");
    client.ask<QueueUnbindOk>(1, QueueUnbind{0, "q", "missing", "k", {}});
    client.ask<QueueUnbindOk>(1, QueueUnbind{0, "missing", "e", "k", {}});
    client.ask<ExchangeUnbindOk>(1, ExchangeUnbind{0, "missing", "e", "k", false, {}});
    client.ask<ExchangeUnbindOk>(1, ExchangeUnbind{0, "e", "missing", "k", false, {}});
}

TEST(AName, that_is_not_utf8_ends_the_connection) {
    for (const bool exchange : {false, true}) {
        World world;
        Client client(world);
        if (exchange) {
            client.send(1, Client::exchange_declare("caf\xe9", "direct"));
        } else {
            client.send(1, Client::queue_declare("caf\xe9"));
        }
        EXPECT_THAT(client.expect_connection_close(), StartsWith("501 FRAME_ERROR"));
        EXPECT_TRUE(world.broker->queue_stats().empty());
    }
}

TEST(QueueDelete, is_answered_before_its_consumers_are_cancelled) {
    World world;
    Client client(world), other(world);
    client.declare("q");
    client.consume("q", "mine");
    other.consume("q", "theirs");
    client.ask<QueueDeleteOk>(1, QueueDelete{0, "q", false, false, false});
    EXPECT_EQ(client.expect<BasicCancel>(1).consumer_tag, "mine");
    EXPECT_EQ(other.expect<BasicCancel>(1).consumer_tag, "theirs");
}

TEST(AReplyAddress, can_be_asked_for_before_the_work_is_done) {
    World world;
    Client server(world);
    std::string address;
    QueueDeclare method;
    method.passive = true;
    {
        Client caller(world);
        caller.consume("amq.rabbitmq.reply-to", "replies", true);
        server.declare("rpc");
        Properties request;
        request.flags = Properties::has_reply_to;
        request.reply_to = "amq.rabbitmq.reply-to";
        caller.publish("", "rpc", "?", request);
        address = server.get("rpc", true)->properties().reply_to;
        method.queue = std::string_view(address);
        const auto answer = server.ask<QueueDeclareOk>(1, method);
        EXPECT_EQ(answer.queue, address);
        EXPECT_EQ(answer.consumer_count, 1u);
    }
    server.send(1, method);
    EXPECT_THAT(server.expect_channel_close(), StartsWith("404 NOT_FOUND - no queue"));
}

TEST(AQuorumQueue, is_refused_what_rabbit_mq_refuses_it) {
    TableWriter quorum;
    quorum.text("x-queue-type", "quorum");
    QueueDeclare transient_one = Client::queue_declare("q", quorum.table(), false);
    QueueDeclare exclusive = Client::queue_declare("q", quorum.table());
    exclusive.exclusive = true;
    QueueDeclare auto_delete = Client::queue_declare("q", quorum.table());
    auto_delete.auto_delete = true;
    TableWriter with_priority;
    with_priority.text("x-queue-type", "quorum").int32("x-max-priority", 5);
    for (const auto& [method, word] :
         {std::pair{transient_one, "non-durable"},
          {exclusive, "exclusive-owner"},
          {auto_delete, "auto-delete"},
          {Client::queue_declare("q", with_priority.table()), "x-max-priority"}}) {
        World world;
        Client client(world);
        client.send(1, method);
        const std::string answer = client.expect_channel_close();
        EXPECT_THAT(answer, StartsWith("406 PRECONDITION_FAILED - invalid "));
        EXPECT_THAT(answer, HasSubstr(word));
    }
}

}  // namespace
}  // namespace havn::broker::testing
