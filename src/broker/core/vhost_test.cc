// Virtual hosts: what is in one is not known in another, and who may open which.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"
#include "broker/core/queue/topology_records.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

Config two_vhosts() {
    Config config;
    config.vhosts = {{"/", {}}, {"shop", {{.name = "orders", .message_ttl = {}, .max_attempts = 2}}}};
    config.users = {{"guest", "guest", true, {"/", "shop"}}, {"clerk", "secret", false, {"shop"}}};
    return config;
}

const Client::Options in_shop{.vhost = "shop"};

std::string refusal(World& world, const Client::Options& options) {
    Client client(world,
                  Client::Options{.user = options.user, .password = options.password, .stop_at_tune = true});
    client.expect<ConnectionTune>(0);
    client.send(0, ConnectionTuneOk{2'047, 131'072, 60});
    client.send(0, ConnectionOpen{std::string_view(options.vhost), "", false});
    return client.expect_connection_close();
}

TEST(Vhost, keeps_queues_of_one_name_apart) {
    World world(two_vhosts());
    Client here(world), there(world, in_shop);
    here.declare("q");
    there.declare("q");
    here.publish("", "q", "of /", persistent());
    there.publish("", "q", "of shop", persistent());
    EXPECT_THAT(here.drain("q"), ElementsAre("of /"));
    EXPECT_THAT(there.drain("q"), ElementsAre("of shop"));
}

TEST(Vhost, keeps_exchanges_and_bindings_apart) {
    World world(two_vhosts());
    Client here(world), there(world, in_shop);
    here.declare_exchange("news", "fanout");
    here.declare("q");
    there.declare("q");
    here.bind("q", "news", "");
    there.bind("q", "amq.fanout", "");
    here.publish("news", "", "paper");
    here.publish("amq.fanout", "", "lost");
    EXPECT_THAT(here.drain("q"), ElementsAre("paper"));
    EXPECT_THAT(there.drain("q"), IsEmpty());
    there.publish("news", "", "nobody's");
    EXPECT_EQ(there.expect_channel_close(), "404 NOT_FOUND - no exchange 'news' in vhost 'shop'");
}

TEST(Vhost, names_itself_in_refusals) {
    World world(two_vhosts());
    Client there(world, in_shop);
    there.send(1, QueueDelete{0, "orders", true, false, false});
    there.expect<QueueDeleteOk>(1);
    there.send(1, BasicGet{0, "none", true});
    EXPECT_EQ(there.expect_channel_close(), "404 NOT_FOUND - no queue 'none' in vhost 'shop'");
}

TEST(Vhost, that_is_unknown_or_forbidden_is_refused) {
    World world(two_vhosts());
    EXPECT_EQ(refusal(world, {.vhost = "nowhere"}), "530 NOT_ALLOWED - vhost nowhere not found");
    EXPECT_EQ(refusal(world, {.user = "clerk", .password = "secret", .vhost = "/"}),
              "530 NOT_ALLOWED - access to vhost '/' refused for user 'clerk'");
    Client clerk(world, {.user = "clerk", .password = "secret", .vhost = "shop"});
    EXPECT_EQ(clerk.declare("orders").queue, "orders");
}

TEST(Vhost, has_exclusive_queues_of_its_own) {
    World world(two_vhosts());
    Client here(world), there(world, in_shop);
    for (Client* client : {&here, &there}) {
        QueueDeclare method = Client::queue_declare("mine");
        method.exclusive = true;
        EXPECT_EQ(client->ask<QueueDeclareOk>(1, method).queue, "mine");
    }
    here.vanish();
    EXPECT_EQ(world.stats("mine").vhost, "shop");
}

TEST(Vhost, does_not_take_direct_replies_from_another) {
    World world(two_vhosts());
    Client asks(world), answers(world), stranger(world, in_shop);
    answers.declare("requests");
    asks.consume("amq.rabbitmq.reply-to", "replies", true);
    Properties properties;
    properties.flags = Properties::has_reply_to;
    properties.reply_to = "amq.rabbitmq.reply-to";
    asks.publish("", "requests", "question", properties);
    const Delivered question = answers.get("requests", true).value();
    const std::string address(std::string_view(question.properties().reply_to));
    stranger.publish("", address, "forged");
    EXPECT_TRUE(asks.silent());
    answers.publish("", address, "answer");
    EXPECT_EQ(asks.expect_body(), "answer");
}

TEST(Vhost, has_policies_and_dead_letters_of_its_own) {
    World world(two_vhosts());
    EXPECT_TRUE(world.has_queue("orders.failed"));
    Client here(world), there(world, in_shop);
    here.declare("orders");
    here.publish("", "orders", "plain");
    there.publish("", "orders", "doomed", persistent());
    for (int attempt = 0; attempt < 2; ++attempt) {
        there.nack(there.get("orders").value().tag, true);
        here.nack(here.get("orders").value().tag, true);
    }
    EXPECT_THAT(there.drain("orders.failed"), ElementsAre("doomed"));
    EXPECT_THAT(here.drain("orders"), ElementsAre("plain")) << "no policy there";
}

TEST(Vhost, comes_back_after_a_restart_with_what_is_its_own) {
    World world(two_vhosts());
    {
        Client here(world), there(world, in_shop);
        here.declare("q");
        there.declare("q");
        there.declare_exchange("news", "topic");
        there.bind("q", "news", "a.#");
        here.publish("", "q", "of /", persistent());
        there.publish("news", "a.b", "of shop", persistent());
    }
    world.restart();
    Client here(world), there(world, in_shop);
    EXPECT_THAT(here.drain("q"), ElementsAre("of /"));
    there.publish("news", "a", "and still bound", persistent());
    EXPECT_THAT(there.drain("q"), ElementsAre("of shop", "and still bound"));
    here.publish("news", "a", "");
    EXPECT_EQ(here.expect_channel_close(), "404 NOT_FOUND - no exchange 'news' in vhost '/'");
}

TEST(Vhost, that_leaves_the_configuration_keeps_what_is_in_it_until_it_is_back) {
    World world(two_vhosts());
    Config without = two_vhosts();
    without.vhosts.pop_back();
    {
        Client there(world, in_shop);
        amqp::TableWriter arguments;
        arguments.integer("x-expires", 1'000).integer("x-message-ttl", 60'000);
        there.declare("brief", arguments.table());
        there.publish("", "brief", "kept", persistent());
        there.publish("", "orders", "kept", persistent());
        world.config = without;
        ASSERT_TRUE(world.broker->apply(without));
        EXPECT_EQ(there.expect_connection_close(), "320 CONNECTION_FORCED - vhost 'shop' is deleted");
        there.vanish();
    }
    EXPECT_FALSE(world.has_queue("orders"));
    world.advance(seconds(20));
    EXPECT_EQ(refusal(world, {.vhost = "shop"}), "530 NOT_ALLOWED - vhost shop not found");
    world.restart();
    world.advance(seconds(20));
    EXPECT_EQ(world.journal.open_deliveries(), 2u);
    world.config = two_vhosts();
    ASSERT_TRUE(world.broker->apply(two_vhosts()));
    Client back(world, in_shop);
    EXPECT_THAT(back.drain("brief"), ElementsAre("kept"));
    EXPECT_THAT(back.drain("orders"), ElementsAre("kept"));
}

TEST(Vhost, gives_no_queue_an_id_of_another) {
    World world(two_vhosts());
    Client here(world), there(world, in_shop);
    here.declare("q");
    there.declare("q");
    const auto& topology = world.journal.topology();
    EXPECT_NE(topology.at(topology::queue_key("/", "q")), topology.at(topology::queue_key("shop", "q")));
}

TEST(Vhost, of_a_log_without_any_is_the_default_one) {
    World world;
    {
        Client client(world);
        client.declare("q");
        client.declare_exchange("news", "topic");
        client.bind("q", "news", "#");
        client.publish("", "q", "old", persistent());
    }
    const std::map<std::string, std::string> written = world.journal.topology();
    for (const auto& [key, value] : written) {  // as version 2 of the log had it
        const auto read = topology::read_key(key);
        if (!read) continue;
        world.journal.erase(key);
        world.journal.put(std::string(1, static_cast<char>(key[0] | 0x20)).append(read->rest), value);
    }
    world.restart();
    EXPECT_EQ(world.journal.topology(), written) << "rewritten at the start";
    Client client(world);
    client.publish("news", "x", "new", persistent());
    EXPECT_THAT(client.drain("q"), ElementsAre("old", "new"));
}

TEST(Vhost, is_read_of_a_configuration_that_had_only_one) {
    const Json before{{"revision", 4},
                      {"queues", {{{"name", "orders"}, {"max_attempts", 3}}}},
                      {"users", {{{"name", "u"}, {"password", "p"}}}}};
    const Result<Config> config = config_from_json(before);
    ASSERT_TRUE(config);
    ASSERT_EQ(config->vhosts.size(), 1u);
    EXPECT_EQ(config->vhosts[0].name, "/");
    EXPECT_EQ(config->vhosts[0].queues[0].name, "orders");
    EXPECT_THAT(config->users[0].vhosts, ElementsAre("/"));
    EXPECT_FALSE(config_from_json(Json{{"version", 3}}));
    EXPECT_FALSE(config_from_json(Json{{"version", 2}, {"vhosts", {{{"name", "a"}}, {{"name", "a"}}}}}));
}

}  // namespace
}  // namespace havn::broker::testing
