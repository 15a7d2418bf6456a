#include "amqp/client/connection.h"

#include "amqp/client/client_testing.h"

namespace havn::amqp::client {
namespace {

using Events = std::vector<std::string>;
using Names = std::vector<std::string>;

struct ConnectionTest : ClientTest {
    Result<> receive_at_once() {
        const Result<std::size_t> eaten = connection.receive("", now);
        return eaten ? Result<>() : std::unexpected(eaten.error());
    }
};

TEST_F(ConnectionTest, logs_in_and_agrees_on_the_smaller_limits) {
    connection.open({"user", "secret", "shop"}, now);
    send();
    EXPECT_EQ(wire, protocol_header);
    ConnectionStart start;
    start.mechanisms = "PLAIN AMQPLAIN";
    ASSERT_TRUE(answer(start, 0));
    std::vector<SentFrame> frames = sent();
    ASSERT_EQ(frames.size(), 1u);
    const auto ok = decode<ConnectionStartOk>(frames[0].payload);
    ASSERT_TRUE(ok);
    EXPECT_EQ(ok->mechanism, "PLAIN");
    EXPECT_EQ(ok->response, std::string_view("\0user\0secret", 12));
    EXPECT_TRUE(find(ok->client_properties, "capabilities")->table());
    ASSERT_TRUE(answer(ConnectionTune{0, 0, 10}, 0));
    frames = sent();
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(decode<ConnectionTuneOk>(frames[0].payload), (ConnectionTuneOk{4, 131'072, 10}));
    EXPECT_EQ(decode<ConnectionOpen>(frames[1].payload)->virtual_host, "shop");
    EXPECT_FALSE(connection.is_open());
    ASSERT_TRUE(answer(ConnectionOpenOk{}, 0));
    EXPECT_TRUE(connection.is_open());
    EXPECT_EQ(witness.take(), Events{"connected"});
    EXPECT_EQ(connection.heartbeat(), seconds(10));
    ASSERT_TRUE(connect({2, 4'096, 600}));
    EXPECT_EQ(connection.frame_max(), 4'096u);
    EXPECT_EQ(connection.heartbeat(), seconds(30));
}

TEST_F(ConnectionTest, eats_whole_frames_and_leaves_the_rest) {
    connection.open({"guest", "guest", "/"}, now);
    std::string bytes;
    append_method(bytes, 0, ConnectionStart{});
    const std::size_t whole = bytes.size();
    append_method(bytes, 0, ConnectionTune{0, 0, 0});
    EXPECT_EQ(connection.receive(std::string_view(bytes).substr(0, whole - 1), now), 0u);
    EXPECT_EQ(connection.receive(std::string_view(bytes).substr(0, whole + 3), now), whole);
    EXPECT_EQ(connection.receive(std::string_view(bytes).substr(whole), now), bytes.size() - whole);
    ASSERT_TRUE(answer(ConnectionOpenOk{}, 0));
    EXPECT_TRUE(connection.is_open());
}

TEST_F(ConnectionTest, a_handshake_has_an_end) {
    EXPECT_EQ(connection.due(), Time::max());
    connection.open({"guest", "guest", "/"}, now);
    EXPECT_EQ(connection.due(), now + seconds(5));
    ASSERT_TRUE(connection.on_time(now + seconds(4)));
    now += seconds(5);
    const Result<> late = connection.on_time(now);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().message, "no answer");
    EXPECT_TRUE(connection.is_over());
    EXPECT_EQ(connection.receive("anything", now), 0u) << "what is over eats nothing";
}

TEST_F(ConnectionTest, heartbeats_go_both_ways) {
    ASSERT_TRUE(connect({2'047, 131'072, 20}));
    sent();
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(connection.due(), now + seconds(10));
        now += seconds(10);
        ASSERT_TRUE(connection.on_time(now));
        EXPECT_EQ(sent_names(), Names{"heartbeat"});
        std::string heartbeat;
        append_frame(heartbeat, FrameType::heartbeat, 0, {});
        ASSERT_TRUE(receive(heartbeat));
    }
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(connection.on_time(now += seconds(10)));
    const Result<> silent = connection.on_time(now += seconds(10));
    ASSERT_FALSE(silent);
    EXPECT_EQ(silent.error().message, "no heartbeat");
}

TEST_F(ConnectionTest, without_heartbeats_nothing_is_due) {
    ASSERT_TRUE(connect({2'047, 131'072, 0}));
    EXPECT_EQ(connection.due(), Time::max());
}

TEST_F(ConnectionTest, says_when_the_broker_is_blocked_and_no_longer) {
    open_channel();
    ConnectionBlocked blocked;
    blocked.reason = "low on disk\n";
    ASSERT_TRUE(answer(blocked, 0));
    EXPECT_TRUE(connection.is_blocked());
    EXPECT_FALSE(channel.may_publish());
    EXPECT_FALSE(publish("x", 1));
    ASSERT_TRUE(answer(ConnectionUnblocked{}, 0));
    EXPECT_TRUE(channel.may_publish());
    EXPECT_EQ(witness.take(), (Events{"blocked low on disk?", "unblocked"}));
}

TEST_F(ConnectionTest, tells_the_cause_of_a_close_and_answers_it) {
    open_channel();
    ConnectionClose close;
    close.reply_code = 320;
    close.reply_text = "CONNECTION_FORCED - the broker\nstops";
    const Result<> ended = answer(close, 0);
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().message, "closed by the broker: 320 CONNECTION_FORCED - the broker?stops");
    EXPECT_EQ(sent_names(), Names{"Connection.CloseOk"});
    EXPECT_TRUE(connection.is_over());
    connection.reset();
    EXPECT_FALSE(channel.is_open());
    EXPECT_TRUE(witness.take().empty()) << "the owner knew first";
}

TEST_F(ConnectionTest, refused_credentials_are_told_as_such) {
    connection.open({"guest", "wrong", "/"}, now);
    ASSERT_TRUE(answer(ConnectionStart{}, 0));
    ConnectionClose close;
    close.reply_code = 403;
    close.reply_text = "ACCESS_REFUSED - Login was refused";
    const Result<> ended = answer(close, 0);
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().kind, Error::Kind::denied);
}

TEST_F(ConnectionTest, a_broker_without_plain_is_named) {
    connection.open({"guest", "guest", "/"}, now);
    ConnectionStart start;
    start.mechanisms = "EXTERNAL";
    const Result<> ended = answer(start, 0);
    ASSERT_FALSE(ended);
    EXPECT_TRUE(ended.error().message.contains("EXTERNAL"));
}

TEST_F(ConnectionTest, closes_with_a_word_and_waits_for_the_answer) {
    open_channel();
    connection.close(now);
    EXPECT_EQ(sent_names(), Names{"Connection.Close"});
    EXPECT_FALSE(channel.is_open());
    ASSERT_TRUE(deliver(1, "what was on its way")) << "is not looked at";
    EXPECT_FALSE(connection.is_over());
    ASSERT_TRUE(answer(ConnectionCloseOk{}, 0));
    EXPECT_TRUE(connection.is_over());
    EXPECT_TRUE(witness.take().empty());
    ASSERT_TRUE(connect());
    connection.close(now);
    EXPECT_EQ(connection.due(), now + seconds(2));
    EXPECT_FALSE(connection.on_time(now + seconds(2)));
}

TEST_F(ConnectionTest, takes_no_nonsense) {
    const auto refuses = [&](auto give) {
        EXPECT_TRUE(connect());
        EXPECT_FALSE(give());
        EXPECT_TRUE(connection.is_over());
    };
    refuses([&] { return receive("HTTP/1.1 400 Bad Request\r\n\r\n"); });
    refuses([&] { return receive(std::string("\x01\x00\x00\x00\x00\x00\x02\x00\x00\xce", 10)); });
    refuses([&] { return receive(std::string("\x05\x00\x00\x00\x00\x00\x00\xce", 8)); });
    refuses([&] { return receive(std::string("\x03\x00\x00\x00\x00\x00\x01x\xce", 9)); });
    refuses([&] { return answer(ConnectionTune{2'047, 4'096, 60}, 0); });
    refuses([&] { return answer(ConnectionStartOk{}, 0); });
    refuses([&] { return answer(BasicAck{1, false}, 1); });
    refuses([&] { return answer(BasicAck{1, false}, 65'535); });
    refuses([&] { return receive(content(flags(), "x")); });
    unread.clear();
    connection.open({"guest", "guest", "/"}, now);
    ASSERT_TRUE(answer(ConnectionStart{}, 0));
    EXPECT_FALSE(answer(ConnectionTune{2'047, 8, 60}, 0)) << "no frame fits into eight bytes";
    unread.clear();
    connection.open({"guest", "guest", std::string(300, 'v')}, now);
    ASSERT_TRUE(answer(ConnectionStart{}, 0));
    EXPECT_FALSE(answer(ConnectionTune{2'047, 131'072, 60}, 0));
}

TEST_F(ConnectionTest, a_frame_larger_than_agreed_on_is_refused) {
    ASSERT_TRUE(connect({2'047, 4'096, 60}));
    ASSERT_TRUE(channel.open());
    ASSERT_TRUE(answer(ChannelOpenOk{}));
    EXPECT_FALSE(deliver(1, std::string(5'000, 'x')));
}

// A consumer that answers each delivery, at a broker that delivers and never reads.
TEST_F(ConnectionTest, a_broker_that_does_not_read_is_left) {
    open_channel();
    Result<> taken;
    std::size_t rounds = 0;
    while (taken && rounds < 1'000'000) {
        taken = deliver(++rounds, "x");
        channel.acknowledge(rounds);
    }
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().message, "it does not read what it is sent");
    EXPECT_LE(connection.pieces().size(), (4u << 20) + 4'096);
}

TEST_F(ConnectionTest, opens_as_many_channels_as_agreed_on_and_reuses_their_numbers) {
    ASSERT_TRUE(connect({2, 131'072, 60}));
    Channel second(connection, witness), third(connection, witness);
    ASSERT_TRUE(channel.open());
    ASSERT_TRUE(second.open());
    EXPECT_FALSE(third.open());
    EXPECT_FALSE(second.open()) << "it is being opened";
    ASSERT_TRUE(answer(ChannelOpenOk{}, 1));
    ASSERT_TRUE(answer(ChannelOpenOk{}, 2));
    EXPECT_TRUE(second.close());
    EXPECT_FALSE(third.open()) << "until the broker has said that the number is free";
    ASSERT_TRUE(answer(ChannelCloseOk{}, 2));
    EXPECT_TRUE(third.open());
    ASSERT_TRUE(answer(ChannelOpenOk{}, 2));
    EXPECT_TRUE(third.is_open());
}

TEST_F(ConnectionTest, a_channel_that_is_gone_is_closed_at_the_broker) {
    ASSERT_TRUE(connect());
    sent();
    {
        Channel gone(connection, witness);
        ASSERT_TRUE(gone.open());
        EXPECT_EQ(sent_names(), Names{"Channel.Open"});
    }
    EXPECT_EQ(sent_names(), Names{"Channel.Close"});
    ASSERT_TRUE(answer(ChannelOpenOk{}));
    ChannelClose close;
    ASSERT_TRUE(answer(close)) << "both may close at the same time";
    EXPECT_EQ(sent_names(), Names{"Channel.CloseOk"});
    ASSERT_TRUE(answer(ChannelCloseOk{}));
    EXPECT_TRUE(channel.open());
}

TEST_F(ConnectionTest, begins_anew_after_each_end) {
    for (int round = 0; round < 3; ++round) {
        open_confirming_channel();
        const auto published = publish("x", 7);
        ASSERT_TRUE(published);
        EXPECT_EQ(published->number, 1u);
        connection.reset();
        EXPECT_TRUE(connection.pieces().empty());
        EXPECT_FALSE(channel.is_open());
        EXPECT_EQ(channel.unconfirmed(), 0u);
        EXPECT_EQ(connection.due(), Time::max());
        wire.clear();
    }
}

}  // namespace
}  // namespace havn::amqp::client
