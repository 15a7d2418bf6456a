// Connections: handshake, log-in, tuning, heartbeats, close.
#include <gmock/gmock.h>

#include "broker/core/core_testing.h"

namespace havn::broker::testing {
namespace {

using namespace amqp;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(AConnection, that_begins_with_anything_else_gets_the_header_back_and_is_closed) {
    World world;
    Connection session(world.broker->connections(), {"x", true}, world.now);
    EXPECT_EQ(session.on_bytes("GET / HTTP/1.1\r\n", world.now), 16u);
    EXPECT_EQ(session.output(), protocol_header);
    EXPECT_TRUE(session.closed());
    EXPECT_TRUE(world.woken.contains(&session));
}

TEST(AConnection, may_arrive_byte_by_byte) {
    World world;
    Connection session(world.broker->connections(), {"x", true}, world.now);
    std::string bytes(protocol_header);
    append_method(bytes, 0, ConnectionStartOk{{}, "PLAIN", std::string_view("\0guest\0guest", 12), "en_US"});
    std::string unread;
    for (const char byte : bytes) {
        unread.push_back(byte);
        unread.erase(0, session.on_bytes(unread, world.now));
    }
    EXPECT_TRUE(unread.empty());
    EXPECT_EQ(session.user(), "guest");
}

TEST(AConnection, is_offered_mechanisms_locale_and_properties) {
    World world;
    Connection session(world.broker->connections(), {"x", true}, world.now);
    session.on_bytes(protocol_header, world.now);
    const FrameParse parsed = parse_frame(session.output(), 0);
    const auto start = decode<ConnectionStart>(parsed.frame.payload.substr(4));
    ASSERT_TRUE(start);
    EXPECT_EQ(start->version_major, 0);
    EXPECT_EQ(start->version_minor, 9);
    EXPECT_EQ(start->mechanisms, "PLAIN AMQPLAIN");
    EXPECT_EQ(start->locales, "en_US");
    for (const char* name : {"product", "version", "platform", "copyright", "information", "cluster_name"}) {
        EXPECT_TRUE(find(start->server_properties, name)) << name;
    }
    const auto capabilities = find(start->server_properties, "capabilities")->table();
    for (const char* name : {"publisher_confirms", "exchange_exchange_bindings", "basic.nack",
                             "consumer_cancel_notify", "connection.blocked", "consumer_priorities",
                             "authentication_failure_close", "per_consumer_qos", "direct_reply_to"}) {
        ASSERT_TRUE(find(*capabilities, name)) << name;
        EXPECT_EQ(find(*capabilities, name)->boolean(), true) << name;
    }
}

TEST(LogIn, works_with_plain_and_amqplain) {
    World world;
    EXPECT_EQ(Client(world, {.mechanism = "PLAIN"}).connection().user(), "guest");
    EXPECT_EQ(Client(world, {.mechanism = "AMQPLAIN"}).connection().user(), "guest");
}

TEST(LogIn, with_an_unknown_mechanism_closes_the_connection) {
    World world;
    Client client(world, {.mechanism = "CRAM-MD5", .stop_at_tune = true});
    EXPECT_EQ(client.expect_connection_close(),
              "503 COMMAND_INVALID - unknown authentication mechanism 'CRAM-MD5'");
}

TEST(LogIn, with_a_wrong_password_is_refused_after_a_while) {
    World world;
    for (const char* mechanism : {"PLAIN", "AMQPLAIN"}) {
        Client client(world, {.password = "wrong", .mechanism = mechanism, .stop_at_tune = true});
        EXPECT_TRUE(client.silent()) << "guessing takes time";
        world.now = client.connection().next_deadline();
        client.connection().on_time(world.now);
        EXPECT_THAT(client.expect_connection_close(),
                    StartsWith("403 ACCESS_REFUSED - Login was refused using authentication mechanism "));
    }
}

TEST(LogIn, of_a_client_that_cannot_read_a_refusal_just_ends) {
    World world;
    Client client(world, {.password = "wrong", .capabilities = false, .stop_at_tune = true});
    world.now = client.connection().next_deadline();
    client.connection().on_time(world.now);
    EXPECT_TRUE(client.silent());
    EXPECT_TRUE(client.closed());
    EXPECT_THAT(client.connection().close_reason(), HasSubstr("ACCESS_REFUSED"));
}

TEST(LogIn, of_guest_is_for_loopback_only) {
    World world;
    Client client(world, {.loopback = false, .stop_at_tune = true});
    world.now = client.connection().next_deadline();
    client.connection().on_time(world.now);
    EXPECT_THAT(client.expect_connection_close(), StartsWith("403 ACCESS_REFUSED"));

    world.config.users.push_back({"shop", "secret", false});
    world.broker->apply(world.config);
    EXPECT_EQ(Client(world, {.user = "shop", .password = "secret", .loopback = false}).connection().user(),
              "shop");
}

TEST(Tune, offers_the_configured_limits) {
    World world;
    Client client(world, {.stop_at_tune = true});
    const auto tune = client.expect<ConnectionTune>(0);
    EXPECT_EQ(tune.channel_max, 2'047);
    EXPECT_EQ(tune.frame_max, 131'072u);
    EXPECT_EQ(tune.heartbeat, 60);
}

struct TuneCase {
    std::uint16_t channel_max;
    std::uint32_t frame_max;
    std::string_view text;
};

TEST(Tune, may_be_lowered_but_not_raised) {
    for (const auto& [channel_max, frame_max, text] :
         {TuneCase{2'047, 4'095, "frame_max = 4095 is lower than the minimum allowed value (4096)"},
          TuneCase{2'047, 131'073, "frame_max = 131073 is higher"},
          TuneCase{2'047, 0, "frame_max = 0 is higher"},
          TuneCase{2'048, 131'072, "channel_max = 2048 is higher than the maximum allowed value (2047)"},
          TuneCase{0, 131'072, "channel_max = 0 is higher"}}) {
        World world;
        Client client(world, {.stop_at_tune = true});
        client.expect<ConnectionTune>(0);
        client.send(0, ConnectionTuneOk{channel_max, frame_max, 60});
        const std::string close = client.expect_connection_close();
        EXPECT_THAT(close, StartsWith("530 NOT_ALLOWED - negotiated "));
        EXPECT_THAT(close, HasSubstr(text));
    }
    World world;
    Client lowered(world, {.channel_max = 1, .frame_max = 4'096});
    EXPECT_TRUE(lowered.connection().user() == "guest");
}

TEST(Open, of_an_unknown_virtual_host_is_not_allowed) {
    World world;
    Client client(world, {.stop_at_tune = true});
    client.expect<ConnectionTune>(0);
    client.send(0, ConnectionTuneOk{2'047, 131'072, 60});
    client.send(0, ConnectionOpen{"elsewhere", "", false});
    EXPECT_EQ(client.expect_connection_close(), "530 NOT_ALLOWED - vhost elsewhere not found");
    client.send(0, ConnectionCloseOk{});
    EXPECT_TRUE(client.closed());
}

TEST(Heartbeats, are_sent_every_half_interval_and_missed_after_two) {
    World world;
    Client client(world, {.heartbeat = 60});
    EXPECT_EQ(client.connection().next_deadline(), world.now + seconds(30));
    world.now += seconds(30);
    client.connection().on_time(world.now);
    std::string sent = client.connection().output();
    EXPECT_EQ(sent, std::string_view("\x08\0\0\0\0\0\0\xce", 8));
    world.now += seconds(89);
    client.connection().on_time(world.now);
    EXPECT_FALSE(client.closed()) << "119 s of silence";
    world.now += seconds(1);
    client.connection().on_time(world.now);
    EXPECT_TRUE(client.closed()) << "120 s of silence";
    EXPECT_THAT(client.connection().close_reason(), HasSubstr("heartbeat"));
}

TEST(Heartbeats, are_kept_alive_by_any_octet) {
    World world;
    Client client(world, {.heartbeat = 60});
    for (int i = 0; i < 5; ++i) {
        world.now += seconds(100);
        client.raw(std::string_view("\x08", i == 0 ? 1 : 0));  // the first byte of a frame, then nothing new
        if (i == 0) client.raw(std::string_view("\0\0\0\0\0\0\xce", 7));
        client.connection().on_time(world.now);
        EXPECT_FALSE(client.closed());
        client.raw(std::string_view("\x08\0\0\0\0\0\0\xce", 8));
    }
}

TEST(Heartbeats, are_not_missed_while_they_could_not_be_heard) {
    World world;
    Client client(world, {.heartbeat = 60});
    for (int i = 0; i < 10; ++i) {  // the log is behind: nobody is read
        world.now += seconds(50);
        client.connection().excuse_silence(world.now);
        client.connection().on_time(world.now);
    }
    EXPECT_FALSE(client.connection().closed());
    world.now += seconds(121);
    client.connection().on_time(world.now);
    EXPECT_TRUE(client.connection().closed()) << "from there on the silence is the client's";
}

TEST(Heartbeats, of_a_publisher_who_is_held_back_are_not_missed) {
    World world;
    Client client(world, {.heartbeat = 60});
    client.declare("q");
    world.broker->set_alarm("the broker's disk is full");
    client.publish("", "q", "held");
    client.expect<ConnectionBlocked>(0);
    for (int i = 0; i < 100; ++i) {
        world.now += seconds(30);
        client.connection().on_time(world.now);
    }
    EXPECT_FALSE(client.connection().closed());
    world.broker->set_alarm("");
    client.raw("");  // what it had sent is offered again
    EXPECT_EQ(world.stats("q").ready, 1u);
}

TEST(AHandshake, is_given_the_time_in_which_it_could_not_be_heard) {
    World world;
    Client client(world, {.stop_at_start = true});
    for (int i = 0; i < 10; ++i) {
        world.now += seconds(9);
        client.connection().excuse_silence(world.now);
        client.connection().on_time(world.now);
    }
    EXPECT_FALSE(client.connection().closed());
    world.now += seconds(60);
    client.connection().on_time(world.now);
    EXPECT_TRUE(client.connection().closed());
}

TEST(Heartbeats, may_be_turned_off) {
    World world;
    Client client(world, {.heartbeat = 0});
    EXPECT_EQ(client.connection().next_deadline(), Time::max());
}

TEST(Heartbeats, on_a_channel_are_an_error) {
    World world;
    Client client(world);
    client.raw(std::string_view("\x08\0\x01\0\0\0\0\xce", 8));
    EXPECT_THAT(client.expect_connection_close(), StartsWith("501 FRAME_ERROR"));
}

TEST(AHandshake, that_takes_too_long_is_ended) {
    World world;
    Client client(world, {.stop_at_start = true});
    world.now += seconds(10);
    client.connection().on_time(world.now);
    EXPECT_TRUE(client.closed());
}

TEST(ALogIn, that_comes_before_its_user_is_known_is_accepted_when_it_is) {
    World world;
    Client early(world, {.user = "havn", .password = "made up", .stop_at_tune = true});
    EXPECT_TRUE(early.silent());
    Config config;
    config.users.push_back({"havn", "made up", false});
    ASSERT_TRUE(world.broker->apply(config));
    world.now = early.connection().next_deadline();
    early.connection().on_time(world.now);
    early.expect<ConnectionTune>(0);
}

TEST(UpdateSecret, is_answered) {
    World world;
    Client client(world);
    client.ask<ConnectionUpdateSecretOk>(0, ConnectionUpdateSecret{"new", "because"});
}

TEST(Close, is_answered_and_ends) {
    World world;
    Client client(world);
    client.ask<ConnectionCloseOk>(0, ConnectionClose{200, "bye", 0, 0});
    EXPECT_TRUE(client.closed());
    EXPECT_TRUE(client.connection().close_reason().empty());
}

TEST(ShutDown, says_good_bye) {
    World world;
    Client client(world);
    client.connection().shut_down("broker is stopping", world.now);
    EXPECT_EQ(client.expect_connection_close(), "320 CONNECTION_FORCED - broker is stopping");
    client.send(0, ConnectionCloseOk{});
    EXPECT_TRUE(client.closed());
}

TEST(ShutDown, does_not_wait_for_ever_for_the_answer) {
    World world;
    Client client(world);
    client.connection().shut_down("broker is stopping", world.now);
    world.now = client.connection().next_deadline();
    client.connection().on_time(world.now);
    EXPECT_TRUE(client.closed());
}

TEST(AnAlarm, holds_back_publishers_and_tells_them_once) {
    World world;
    Client publisher(world), other(world);
    publisher.declare("q");
    world.broker->set_alarm("low on disk");
    EXPECT_TRUE(publisher.silent()) << "it has not published yet";
    publisher.publish("", "q", "first");
    EXPECT_EQ(publisher.expect<ConnectionBlocked>(0).reason, "low on disk");
    EXPECT_TRUE(publisher.connection().paused());
    EXPECT_FALSE(other.get("q", true)) << "who does not publish goes on, and nothing was taken";
    publisher.publish("", "q", "second");
    EXPECT_TRUE(publisher.silent());
    world.broker->set_alarm("");
    publisher.expect<ConnectionUnblocked>(0);
    EXPECT_EQ(other.get("q", true)->body, "first");
    EXPECT_EQ(other.get("q", true)->body, "second");
}

struct BrokenCase {
    std::string_view name, bytes, answer;
};

TEST(ABrokenFrame, closes_the_connection_with_its_reason) {
    const std::string large = std::string("\x03\0\x01\0\x02\0\0", 7);  // 131 072 bytes and overhead
    for (const auto& [name, bytes, answer] :
         {BrokenCase{"no end mark", std::string_view("\x01\0\x01\0\0\0\x04\0\x3c\0\x28x", 12),
                     "501 FRAME_ERROR"},
          BrokenCase{"too large", large, "501 FRAME_ERROR"},
          BrokenCase{"short method", std::string_view("\x01\0\x01\0\0\0\x02\0\x3c\xce", 10),
                     "501 FRAME_ERROR"},
          BrokenCase{"unknown type", std::string_view("\x07\0\x01\0\0\0\0\xce", 8), "501 FRAME_ERROR"},
          BrokenCase{"body without publish", std::string_view("\x03\0\x01\0\0\0\x01x\xce", 9),
                     "505 UNEXPECTED_FRAME"},
          BrokenCase{"body on channel 0", std::string_view("\x03\0\0\0\0\0\x01x\xce", 9),
                     "505 UNEXPECTED_FRAME"},
          BrokenCase{"unknown method", std::string_view("\x01\0\x01\0\0\0\x04\0\x3c\xff\xff\xce", 12),
                     "503 "},
          BrokenCase{"cut method", std::string_view("\x01\0\x01\0\0\0\x05\0\x3c\0\x28\0\xce", 13),
                     "502 SYNTAX_ERROR"}}) {
        World world;
        Client client(world);
        client.raw(bytes);
        EXPECT_THAT(client.expect_connection_close(), StartsWith(answer)) << name;
        client.raw("whatever else comes is not looked at");
        EXPECT_TRUE(client.silent()) << name;
        client.vanish();
        EXPECT_TRUE(client.closed());
    }
}

TEST(AMessage, larger_than_the_limit_is_refused) {
    Config config;
    config.message_bytes_max = 1'000;
    World world(config);
    Client client(world);
    client.publish("", "q", std::string(1'001, 'x'));
    EXPECT_THAT(
        client.expect_channel_close(),
        StartsWith("406 PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000"));
}

}  // namespace
}  // namespace havn::broker::testing
