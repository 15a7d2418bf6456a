// What clients can make the broker hold: bounded for each, counted for all, given back.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::HasSubstr;

constexpr std::size_t mebibyte = 1u << 20;

// Speaks, and does not read: what it is sent stays with the session.
class DeafClient {
  public:
    explicit DeafClient(World& world)
        : world_(world), connection_(world.broker->connections(), {"deaf", true}, world.now) {
        std::string in(protocol_header);
        append_method(in, 0, ConnectionStartOk{{}, "PLAIN", std::string_view("\0guest\0guest", 12), "en_US"});
        append_method(in, 0, ConnectionTuneOk{2'047, 131'072, 60});
        append_method(in, 0, ConnectionOpen{"/", "", false});
        append_method(in, 1, ChannelOpen{});
        EXPECT_TRUE(say(in));
    }
    ~DeafClient() { connection_.end(world_.now); }

    bool say(std::string_view bytes) { return connection_.on_bytes(bytes, world_.now) == bytes.size(); }
    template <class Method>
    bool send(const Method& method, std::uint16_t channel = 1) {
        std::string frame;
        append_method(frame, channel, method);
        return say(frame);
    }
    // Reads everything at last; how many bytes.
    std::size_t read_all() {
        std::size_t bytes = 0;
        while (connection_.has_output()) {
            bytes += connection_.output().size();
            connection_.output().clear();
            connection_.on_writable();
        }
        return bytes;
    }
    Connection& connection() { return connection_; }

  private:
    World& world_;
    Connection connection_;
};

Config with_memory(std::uint64_t bytes) {
    Config config;
    config.memory_bytes = bytes;
    return config;
}

TEST(AClientThatDoesNotRead, is_not_listened_to_once_its_returns_pile_up) {
    World world;
    DeafClient client(world);
    const std::string returned =
        Client::publish_frames(1, "", "nowhere", std::string(100'000, 'r'), transient(), true);
    int taken = 0;
    while (taken < 10'000 && client.say(returned)) ++taken;
    EXPECT_LT(taken, 60) << "returns of 100 kB each";
    EXPECT_TRUE(client.connection().paused());
    EXPECT_LT(world.broker->memory_used(), 6 * mebibyte);
    EXPECT_GT(client.read_all(), 3 * mebibyte);
    EXPECT_FALSE(client.connection().paused());
    EXPECT_TRUE(client.say(returned)) << "and goes on when it has read";
}

TEST(AClientThatDoesNotRead, gets_no_further_messages_by_get) {
    World world;
    Client owner(world);
    owner.declare("q");
    for (int i = 0; i < 100; ++i) owner.publish("", "q", std::string(200'000, 'm'), transient());
    DeafClient client(world);
    int taken = 0;
    while (taken < 100 && client.send(BasicGet{0, "q", true})) ++taken;
    EXPECT_LT(taken, 30);
    client.read_all();
    EXPECT_TRUE(client.send(BasicGet{0, "q", true}));
}

TEST(AClientThatDoesNotRead, loses_direct_replies_and_the_server_may_know) {
    World world;
    Client server(world);
    Client caller(world);
    caller.consume("amq.rabbitmq.reply-to", "replies", true);
    server.declare("rpc");
    Properties request;
    request.flags = Properties::has_reply_to;
    request.reply_to = "amq.rabbitmq.reply-to";
    caller.publish("", "rpc", "?", request);
    const std::string address(server.get("rpc", true)->properties().reply_to);
    caller.connection().on_writable(8 * mebibyte);  // as if that much of what it was sent had not left
    server.publish("", address, "lost", transient(), true);
    EXPECT_EQ(server.expect_return().reply_code, 312);
    caller.connection().on_writable(0);
    server.publish("", address, "heard", transient(), true);
    EXPECT_EQ(caller.expect_body(), "heard");
}

TEST(AClientThatDoesNotRead, is_dropped_when_its_heartbeats_are_missed) {
    World world;
    DeafClient client(world);
    client.connection().on_writable(8 * mebibyte);
    EXPECT_FALSE(client.send(BasicGet{0, "q", true}) && client.send(BasicGet{0, "q", true}));
    world.now += seconds(130);
    client.connection().on_time(world.now);
    EXPECT_TRUE(client.connection().closed());
}

TEST(OneLargeMessage, is_in_memory_once_however_many_consumers_are_stalled) {
    World world;
    Client publisher(world);
    publisher.declare_exchange("all", "fanout");
    std::vector<std::unique_ptr<DeafClient>> consumers;
    for (int i = 0; i < 10; ++i) {
        const std::string queue = "q" + std::to_string(i);
        publisher.declare(queue);
        publisher.bind(queue, "all", "");
        consumers.push_back(std::make_unique<DeafClient>(world));
        consumers.back()->send(BasicConsume{0, std::string_view(queue), "c", false, false, false, false, {}});
    }
    publisher.publish("all", "", std::string(16 * mebibyte, 'L'), persistent());
    EXPECT_LT(world.broker->memory_used(), 18 * mebibyte);
    for (auto& consumer : consumers) EXPECT_GT(consumer->read_all(), 16 * mebibyte);
}

TEST(OneLargeMessage, read_back_from_the_log_is_shared_as_well) {
    Config config;
    config.memory_bytes_for_content = 0;
    World world(config);
    Client publisher(world);
    publisher.declare_exchange("all", "fanout");
    std::vector<std::unique_ptr<DeafClient>> consumers;
    for (int i = 0; i < 10; ++i) {
        const std::string queue = "q" + std::to_string(i);
        publisher.declare(queue);
        publisher.bind(queue, "all", "");
        consumers.push_back(std::make_unique<DeafClient>(world));
    }
    publisher.publish("all", "", std::string(8 * mebibyte, 'L'), persistent());
    EXPECT_LT(world.broker->memory_used(), mebibyte);
    for (int i = 0; i < 10; ++i) {
        consumers[static_cast<std::size_t>(i)]->send(
            BasicConsume{0, std::string_view("q" + std::to_string(i)), "c", false, false, false, false, {}});
    }
    EXPECT_LT(world.broker->memory_used(), 9 * mebibyte);
    EXPECT_EQ(world.journal.reads, 1u);
    for (auto& consumer : consumers) EXPECT_GT(consumer->read_all(), 8 * mebibyte);
    world.broker->on_time(world.now, world.wall());
    EXPECT_LT(world.broker->memory_used(), mebibyte);
}

TEST(TheMemoryBudget, holds_publishers_back_and_lets_consumers_drain) {
    World world(with_memory(2 * mebibyte));
    Client publisher(world), consumer(world);
    publisher.declare("q", {}, false);
    const std::string body(100'000, 't');
    int published = 0;
    while (published < 100 && !publisher.connection().paused()) {
        publisher.publish("", "q", body, persistent());  // the queue is not durable
        ++published;
    }
    EXPECT_LT(published, 25);
    EXPECT_THAT(std::string(publisher.expect<ConnectionBlocked>(0).reason), HasSubstr("low on memory"));
    EXPECT_TRUE(world.broker->memory_alarm());
    publisher.publish("", "q", "later", transient());
    EXPECT_EQ(world.stats("q").ready, static_cast<std::uint64_t>(published));

    for (int i = 0; i < published / 2; ++i) EXPECT_EQ(consumer.get("q", true)->body, body);
    EXPECT_FALSE(world.broker->memory_alarm()) << "half of it is gone";
    publisher.expect<ConnectionUnblocked>(0);
    EXPECT_EQ(world.stats("q").ready, static_cast<std::uint64_t>(published - published / 2 + 1));
}

TEST(TheMemoryBudget, counts_what_is_unacknowledged) {
    World world(with_memory(2 * mebibyte));
    Client publisher(world), consumer(world);
    publisher.declare("q");
    consumer.consume("q");
    int published = 0;
    while (published < 100 && !publisher.connection().paused()) {
        publisher.publish("", "q", std::string(100'000, 't'), transient());
        consumer.expect_delivery();
        ++published;
    }
    EXPECT_LT(published, 25);
    consumer.ack(0, true);
    EXPECT_FALSE(publisher.connection().paused());
}

TEST(TheMemoryBudget, is_given_back_to_the_last_byte) {
    World world;
    {
        Client client(world);
        client.declare("q");
        client.consume("q");
        for (int i = 0; i < 50; ++i) client.publish("", "q", std::string(50'000, 'x'), persistent());
        client.raw(Client::publish_frames(1, "", "q", std::string(300'000, 'p')).substr(0, 200'000));
        for (int i = 0; i < 20; ++i) client.expect_delivery();
        client.vanish();
    }
    world.broker->purge("/", "q").value();
    world.broker->on_time(world.now, world.wall());
    EXPECT_LT(world.broker->memory_used(), 4'000u) << "a queue is left";
}

TEST(UnfinishedMessages, that_keep_the_alarm_up_lose_their_connections) {
    World world(with_memory(2 * mebibyte));
    Client other(world);
    other.declare("q");
    std::vector<std::unique_ptr<Client>> slow;
    for (int i = 0; i < 4; ++i) {
        slow.push_back(std::make_unique<Client>(world));
        slow.back()->raw(Client::publish_frames(1, "", "q", std::string(mebibyte, 's')).substr(0, 900'000));
    }
    EXPECT_TRUE(world.broker->memory_alarm());
    world.advance(seconds(11));
    EXPECT_FALSE(world.broker->memory_alarm());
    other.publish("", "q", "goes on");
    EXPECT_EQ(world.stats("q").ready, 1u);
    int closed = 0;
    for (auto& client : slow) {
        if (client->silent()) continue;
        const std::string said = client->take_raw();
        closed += said.find("506") != said.npos || said.find("RESOURCE_ERROR") != said.npos;
    }
    EXPECT_GE(closed, 1);
}

TEST(ClientsThatDoNotRead, lose_their_connections_where_they_keep_the_alarm_up) {
    World world(with_memory(6 * mebibyte));
    Client other(world);
    other.declare("q");
    auto deaf = std::make_unique<DeafClient>(world);
    DeafClient beside(world);
    const std::string returned =
        Client::publish_frames(1, "", "nowhere", std::string(100'000, 'r'), transient(), true);
    for (DeafClient* client : {deaf.get(), &beside}) {
        for (int i = 0; i < 100 && client->say(returned); ++i) {
        }
    }
    EXPECT_TRUE(world.broker->memory_alarm());
    world.advance(seconds(9));
    EXPECT_FALSE(deaf->connection().closed());
    world.advance(seconds(2));
    EXPECT_TRUE(deaf->connection().closed());
    EXPECT_THAT(std::string(deaf->connection().close_reason()), HasSubstr("does not read"));
    deaf.reset();
    world.advance(seconds(1));
    EXPECT_FALSE(world.broker->memory_alarm());
    EXPECT_FALSE(beside.connection().closed()) << "it was not the largest, and that was enough";
    other.publish("", "q", "goes on");
    EXPECT_EQ(world.stats("q").ready, 1u);
}

TEST(AnAlarm, is_told_to_the_gateway_before_it_hands_over_a_job) {
    World world;
    world.broker->set_alarm("the broker's disk is full");
    Client consumer(world);
    Client gateway(world, {.gateway = true, .stop_at_tune = true});
    gateway.expect<ConnectionTune>(0);
    gateway.send(0, ConnectionTuneOk{1, 131'072, 0});
    gateway.send(0, ConnectionOpen{"/", "", false});
    gateway.expect<ConnectionOpenOk>(0);
    EXPECT_EQ(std::string(gateway.expect<ConnectionBlocked>(0).reason), "the broker's disk is full");
    gateway.open(1);
    EXPECT_TRUE(consumer.silent());
    EXPECT_FALSE(gateway.connection().held_back()) << "nothing it sent waits";
    world.broker->set_alarm("");
    gateway.expect<ConnectionUnblocked>(0);
    gateway.declare("q");
    gateway.publish("", "q", "a job");
    EXPECT_EQ(world.stats("q").ready, 1u);
    world.broker->set_alarm("again");
    gateway.expect<ConnectionBlocked>(0);
}

TEST(AnAlarm, stops_a_publish_between_its_frames_and_takes_none) {
    World world;
    Client publisher(world);
    publisher.declare("q");
    world.broker->set_alarm("the broker's disk is full");
    publisher.confirm_select();
    publisher.publish("", "q", "held", persistent());
    publisher.expect<ConnectionBlocked>(0);
    EXPECT_TRUE(publisher.silent());
    EXPECT_TRUE(publisher.connection().held_back());
    publisher.vanish();
    world.broker->set_alarm("");
    EXPECT_EQ(world.stats("q").ready, 0u) << "whoever went has not published";
}

TEST(AnAlarm, does_not_keep_a_closed_connection_from_ending) {
    World world;
    Client publisher(world);
    publisher.declare("q");
    world.broker->set_alarm("the broker's disk is full");
    publisher.publish("", "q", "held");
    publisher.expect<ConnectionBlocked>(0);
    publisher.connection().shut_down("stopping", world.now);
    publisher.expect_connection_close();
}

}  // namespace
}  // namespace havn::broker::testing
