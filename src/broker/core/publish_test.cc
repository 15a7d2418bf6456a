// Publishing: routing and returns, confirms, limits on what is published.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::ElementsAre;
using ::testing::StartsWith;

TEST(AConfirm, counts_from_one_and_comes_at_once_for_what_needs_no_disk) {
    World world;
    world.disk_is_stuck = false;
    Client client(world);
    client.declare("transient", {}, false);
    client.confirm_select();
    world.disk_is_stuck = true;
    client.publish("", "transient", "1", persistent());
    EXPECT_EQ(client.expect<BasicAck>(1), (BasicAck{1, false}));
    client.publish("", "nowhere", "2", persistent());
    EXPECT_EQ(client.expect<BasicAck>(1), (BasicAck{2, false}));
}

TEST(AConfirm, waits_for_the_disk_when_message_and_queue_are_durable) {
    World world;
    Client client(world);
    client.declare("q");
    client.confirm_select();
    world.disk_is_stuck = true;
    client.publish("", "q", "1", persistent());
    EXPECT_TRUE(client.silent());
    EXPECT_EQ(client.connection().waits_for(), world.journal.position());
    client.connection().on_durable(world.journal.position() - 1);
    EXPECT_TRUE(client.silent());
    client.let_disk_catch_up();
    EXPECT_EQ(client.expect<BasicAck>(1), (BasicAck{1, false}));
    EXPECT_EQ(client.connection().waits_for(), 0u);
    client.publish("", "q", "2", transient());
    EXPECT_EQ(client.expect<BasicAck>(1), (BasicAck{2, false})) << "a transient one waits for nothing";
}

TEST(AConfirm, stands_for_all_that_was_read_together) {
    World world;
    Client client(world);
    client.declare("q");
    client.confirm_select();
    std::string frames;
    for (int i = 0; i < 5; ++i) frames += Client::publish_frames(1, "", "q", "m", persistent());
    client.raw(frames);
    EXPECT_EQ(client.expect<BasicAck>(1), (BasicAck{5, true}));
    EXPECT_TRUE(client.silent());
    EXPECT_EQ(world.broker->counters().confirmed, 5u);
}

TEST(AConfirm, does_not_wait_for_what_was_published_later) {
    World world;
    Client client(world);
    client.declare("q");
    client.confirm_select();
    world.disk_is_stuck = true;
    client.publish("", "q", "1", persistent());
    const LogPosition first = world.journal.position();
    client.publish("", "q", "2", persistent());
    client.connection().on_durable(first);
    EXPECT_EQ(client.expect<BasicAck>(1), (BasicAck{1, false}));
    EXPECT_TRUE(client.silent());
    client.let_disk_catch_up();
    EXPECT_EQ(client.expect<BasicAck>(1), (BasicAck{2, false}));
}

TEST(AMandatoryMessage, nobody_wants_is_returned_before_its_confirm) {
    World world;
    Client client(world);
    client.confirm_select();
    client.publish("", "nowhere", "back", persistent(), true);
    const Delivered returned = client.expect_return();
    EXPECT_EQ(returned.reply_code, 312);
    EXPECT_EQ(returned.key, "nowhere");
    EXPECT_EQ(returned.body, "back");
    EXPECT_TRUE(returned.properties().persistent());
    EXPECT_EQ(client.expect<BasicAck>(1), (BasicAck{1, false}));
    EXPECT_EQ(world.broker->counters().unroutable, 1u);
}

TEST(AFullQueue, that_rejects_nacks_the_publisher) {
    World world;
    Client client(world);
    TableWriter arguments;
    arguments.integer("x-max-length", 2).text("x-overflow", "reject-publish");
    client.declare("q", arguments.table());
    client.confirm_select();
    for (std::uint64_t i = 1; i <= 2; ++i) {
        client.publish("", "q", std::to_string(i), persistent());
        EXPECT_EQ(client.expect<BasicAck>(1), (BasicAck{i, false}));
    }
    client.publish("", "q", "3", persistent());
    EXPECT_EQ(client.expect<BasicNack>(1), (BasicNack{3, false, false}));
    EXPECT_THAT(client.drain("q"), ElementsAre("1", "2"));
}

TEST(AFullQueue, drops_its_head_by_default) {
    World world;
    Client client(world);
    TableWriter by_count, by_bytes;
    client.declare("count", by_count.integer("x-max-length", 2).table());
    client.declare("bytes", by_bytes.integer("x-max-length-bytes", 6).table());
    for (const char* body : {"one", "two", "six"}) {
        client.publish("", "count", body, persistent());
        client.publish("", "bytes", body, persistent());
    }
    EXPECT_THAT(client.drain("count"), ElementsAre("two", "six"));
    EXPECT_THAT(client.drain("bytes"), ElementsAre("two", "six"));
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(Immediate, is_not_implemented_in_exactly_these_words) {
    World world;
    Client client(world);
    client.send(1, BasicPublish{0, "", "q", false, true});
    EXPECT_EQ(client.expect_connection_close(), "540 NOT_IMPLEMENTED - immediate=true");
}

TEST(APublish, to_a_missing_exchange_closes_the_channel) {
    World world;
    Client client(world);
    client.publish("missing", "k", "x");
    EXPECT_EQ(client.expect_channel_close(), "404 NOT_FOUND - no exchange 'missing' in vhost '/'");
}

TEST(APublish, in_another_users_name_is_refused) {
    World world;
    Client client(world);
    Properties properties;
    properties.flags = Properties::has_user_id;
    properties.user_id = "guest";
    client.declare("q");
    client.publish("", "q", "mine", properties);
    EXPECT_THAT(client.drain("q"), ElementsAre("mine"));
    properties.user_id = "somebody";
    client.publish("", "q", "x", properties);
    EXPECT_EQ(
        client.expect_channel_close(),
        "406 PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest'");
}

TEST(ABody, of_any_size_arrives_whole) {
    World world;
    Client client(world, {.frame_max = 4'096});
    client.declare("q");
    for (const std::size_t size : {0u, 1u, 4'088u, 4'089u, 100'000u}) {
        const std::string body(size, 'b');
        client.raw(Client::publish_frames(1, "", "q", body, persistent(), false, 4'096));
        EXPECT_EQ(client.get("q", true)->body, body) << size;
    }
}

TEST(ABody, longer_than_announced_is_a_frame_error) {
    World world;
    Client client(world);
    std::string frames = Client::publish_frames(1, "", "q", "1234");
    // Body frame, end mark, flags, the size itself.
    const std::size_t body_size_at = frames.size() - 12 - 1 - 2 - 8;
    frames[body_size_at + 7] = 3;
    client.raw(frames);
    EXPECT_THAT(client.expect_connection_close(), StartsWith("501 FRAME_ERROR - the body is longer"));
}

TEST(APublish, cut_anywhere_is_put_together) {
    World world;
    Client client(world);
    client.declare("q");
    TableWriter headers;
    headers.text("key", "value");
    Properties properties = persistent();
    properties.flags |= Properties::has_headers;
    properties.headers = headers.table();
    const std::string frames = Client::publish_frames(1, "amq.direct", "some.routing.key",
                                                      std::string(9'000, 'b'), properties, false, 4'096);
    client.bind("q", "amq.direct", "some.routing.key");
    for (std::size_t cut = 1; cut < frames.size(); cut += cut < 100 ? 1 : 997) {
        client.raw(std::string_view(frames).substr(0, cut));
        client.raw(std::string_view(frames).substr(cut));
        const auto message = client.get("q", true);
        ASSERT_TRUE(message) << cut;
        EXPECT_EQ(message->key, "some.routing.key");
        EXPECT_EQ(message->exchange, "amq.direct");
        EXPECT_EQ(find(message->headers(), "key")->text(), "value");
        EXPECT_EQ(message->body.size(), 9'000u);
    }
}

TEST(Publishes, of_two_channels_may_be_interleaved) {
    World world;
    Client client(world);
    client.open(2);
    client.declare("one");
    client.declare("two");
    const std::string a = Client::publish_frames(1, "", "one", "1111", persistent());
    const std::string b = Client::publish_frames(2, "", "two", "2222", persistent());
    std::vector<std::string> frames_a, frames_b;
    for (const auto& [all, list] : {std::pair(&a, &frames_a), std::pair(&b, &frames_b)}) {
        std::string_view rest = *all;
        while (!rest.empty()) {
            const auto parsed = parse_frame(rest, 0);
            list->emplace_back(rest.substr(0, parsed.eaten));
            rest.remove_prefix(parsed.eaten);
        }
    }
    std::string mixed;
    for (std::size_t i = 0; i < frames_a.size(); ++i) mixed += frames_a[i] + frames_b[i];
    client.raw(mixed);
    EXPECT_THAT(client.drain("one"), ElementsAre("1111"));
    EXPECT_THAT(client.drain("two"), ElementsAre("2222"));
}

TEST(AnExpiration, must_be_a_number_of_milliseconds) {
    World world;
    for (const char* text : {"soon", "", "-1", "1.5", "99999999999999"}) {
        Client client(world);
        client.publish("", "q", "x", expiring(text));
        EXPECT_THAT(client.expect_channel_close(),
                    StartsWith("406 PRECONDITION_FAILED - invalid expiration"));
    }
}

TEST(AMessage, expires_after_the_shorter_of_its_own_and_its_queues_time) {
    World world;
    Client client(world);
    TableWriter arguments;
    client.declare("q", arguments.integer("x-message-ttl", 1'000).table());
    client.publish("", "q", "long", expiring("60000"));
    EXPECT_EQ(world.broker->next_deadline(), world.now + milliseconds(1'000));
    world.advance(milliseconds(999));
    EXPECT_EQ(world.stats("q").ready, 1u);
    world.advance(milliseconds(1));
    EXPECT_EQ(world.stats("q").ready, 0u);
    client.publish("", "q", "short", expiring("100"));
    world.advance(milliseconds(100));
    EXPECT_EQ(world.stats("q").ready, 0u);
    EXPECT_EQ(world.broker->counters().expired, 2u);
    EXPECT_EQ(world.journal.open_deliveries(), 0u);
}

TEST(AMessage, with_no_time_to_live_is_delivered_now_or_never) {
    World world;
    Client client(world);
    client.declare("q");
    client.publish("", "q", "never", expiring("0"));
    EXPECT_FALSE(client.get("q"));
    client.consume("q");
    client.publish("", "q", "now", expiring("0"));
    EXPECT_EQ(client.expect_body(), "now");
}

TEST(DirectReplyTo, brings_an_answer_without_a_queue) {
    World world;
    Client asker(world), answerer(world);
    answerer.declare("requests");
    asker.consume("amq.rabbitmq.reply-to", "r", true);
    Properties properties;
    properties.flags = Properties::has_reply_to | Properties::has_correlation_id;
    properties.reply_to = "amq.rabbitmq.reply-to";
    properties.correlation_id = "7";
    asker.publish("", "requests", "question", properties);
    const auto request = answerer.get("requests", true);
    const auto address = std::string(request->properties().reply_to);
    EXPECT_THAT(address, StartsWith("amq.rabbitmq.reply-to."));
    EXPECT_EQ(request->properties().correlation_id, "7");
    answerer.publish("", address, "answer", transient(), true);
    EXPECT_TRUE(answerer.silent()) << "not returned";
    const Delivered reply = asker.expect_delivery();
    EXPECT_EQ(reply.body, "answer");
    EXPECT_EQ(reply.consumer, "r");
    asker.ask<BasicCancelOk>(1, BasicCancel{"r", false});
    answerer.publish("", address, "too late", transient(), true);
    EXPECT_EQ(answerer.expect_return().body, "too late");
}

TEST(DirectReplyTo, has_its_conditions) {
    World world;
    Client client(world);
    client.send(1, BasicConsume{0, "amq.rabbitmq.reply-to", "r", false, false, false, false, {}});
    EXPECT_EQ(client.expect_channel_close(), "406 PRECONDITION_FAILED - reply consumer cannot acknowledge");
    client.open(1);
    Properties properties;
    properties.flags = Properties::has_reply_to;
    properties.reply_to = "amq.rabbitmq.reply-to";
    client.publish("", "q", "x", properties);
    EXPECT_EQ(client.expect_channel_close(), "406 PRECONDITION_FAILED - fast reply consumer does not exist");
}

}  // namespace
}  // namespace havn::broker::testing
