#include "amqp/client/channel.h"

#include "amqp/client/client_testing.h"

namespace havn::amqp::client {
namespace {

using Events = std::vector<std::string>;
using Names = std::vector<std::string>;

struct ChannelTest : ClientTest {};

TEST_F(ChannelTest, publishes_frames_that_a_broker_reads) {
    open_confirming_channel();
    const std::string body(10'000, 'b');
    Properties properties;
    properties.flags = Properties::has_delivery_mode;
    properties.delivery_mode = 2;
    std::string encoded;
    append_properties(encoded, properties);
    Message message{
        .exchange = "e", .routing_key = "k", .properties = encoded, .body = body, .mandatory = true};
    ASSERT_TRUE(channel.publish(message, 5));
    const std::vector<SentFrame> frames = sent();
    ASSERT_EQ(frames.size(), 3u);
    const auto method = decode<BasicPublish>(frames[0].payload);
    EXPECT_EQ(method->exchange, "e");
    EXPECT_EQ(method->routing_key, "k");
    EXPECT_TRUE(method->mandatory);
    const auto header = parse_content_header(frames[1].payload);
    EXPECT_EQ(header->body_size, body.size());
    EXPECT_TRUE(parse_properties(header->properties)->persistent());
    EXPECT_EQ(frames[2].payload, body);
}

TEST_F(ChannelTest, an_envelope_carries_what_a_message_does) {
    open_confirming_channel();
    Properties properties;
    properties.flags = Properties::has_delivery_mode | Properties::has_message_id;
    properties.delivery_mode = 2;
    properties.message_id = "id";
    std::string encoded;
    append_properties(encoded, properties);
    const Envelope envelope("e", "k", encoded, true);
    for (const std::size_t size : {0u, 1u, 5'000u, 16'384u, 200'000u}) {
        const std::string body(size, 'b');
        const Message message{
            .exchange = "e", .routing_key = "k", .properties = encoded, .body = body, .mandatory = true};
        ASSERT_TRUE(channel.publish(message, 1));
        while (send() > 0) {
        }
        const std::string plain = std::exchange(wire, {});
        ASSERT_TRUE(channel.publish(envelope, body, 2));
        while (send() > 0) {
        }
        EXPECT_EQ(wire, plain) << size;
        wire.clear();
    }
    EXPECT_EQ(channel.unconfirmed(), 10u);
}

TEST_F(ChannelTest, counts_confirms_from_one_and_gives_each_context_back_once) {
    open_confirming_channel();
    for (std::uint64_t i = 1; i <= 6; ++i) EXPECT_EQ(publish("x", 100 + i)->number, i);
    ASSERT_TRUE(answer(BasicAck{2, false}));
    ASSERT_TRUE(answer(BasicAck{4, true}));
    EXPECT_EQ(witness.take(), (Events{"ack 102", "ack 101", "ack 103", "ack 104"}));
    ASSERT_TRUE(answer(BasicAck{4, true}));
    ASSERT_TRUE(answer(BasicAck{2, false}));
    ASSERT_TRUE(answer(BasicAck{77, false}));
    ASSERT_TRUE(answer(BasicNack{5, false, false}));
    EXPECT_EQ(channel.unconfirmed(), 1u);
    ASSERT_TRUE(answer(BasicAck{UINT64_MAX, true}));
    EXPECT_EQ(witness.take(), (Events{"nack 105", "ack 106"}));
    ASSERT_TRUE(publish("x", 107));
    ASSERT_TRUE(answer(BasicNack{0, true, false}));
    EXPECT_EQ(witness.take(), Events{"nack 107"});
    EXPECT_EQ(channel.unconfirmed(), 0u);
}

TEST_F(ChannelTest, a_confirm_without_confirm_select_is_refused) {
    open_channel();
    EXPECT_EQ(publish("x", 1)->number, 0u);
    EXPECT_FALSE(answer(BasicAck{1, false}));
}

TEST_F(ChannelTest, a_large_body_is_sent_from_where_it_lies) {
    open_confirming_channel();
    const std::string body(300'000, 'l');
    const auto large = publish(body, 1);
    ASSERT_TRUE(large);
    EXPECT_EQ(large->end, Channel::unknown_end);
    EXPECT_FALSE(publish("behind", 2)) << "one large body at a time";
    EXPECT_LE(connection.pieces().head.size(), 1'000u);
    send(100'000);
    channel.acknowledge(9);
    ASSERT_TRUE(answer(BasicAck{0, true}));
    EXPECT_TRUE(witness.take().empty()) << "what was not sent whole is not confirmed";
    const std::vector<std::string> names = sent_names();
    EXPECT_EQ(names, (Names{"Basic.Publish", "header", "body", "Basic.Ack", "body", "body"}));
    EXPECT_EQ(witness.take(), Events{"body sent 1"});
    EXPECT_TRUE(publish("behind", 2));
    ASSERT_TRUE(answer(BasicAck{1, false}));
    EXPECT_EQ(witness.take(), Events{"ack 1"});
}

TEST_F(ChannelTest, says_when_a_message_has_left_whole) {
    open_confirming_channel();
    const auto first = publish("first", 1), second = publish("second", 2);
    send(static_cast<std::size_t>(first->end - connection.sent_position()) + 1);
    EXPECT_GE(connection.sent_position(), first->end);
    EXPECT_LT(connection.sent_position(), second->end);
}

TEST_F(ChannelTest, takes_no_publish_beyond_what_may_wait_to_be_sent) {
    open_confirming_channel();
    const std::string body(10'000, 'x');
    std::size_t taken = 0;
    while (taken < 1'000 && publish(body, taken)) ++taken;
    EXPECT_GE(taken, 6u);
    EXPECT_LE(connection.pieces().size(), options().output_bytes_max + 2 * body.size());
    send();
    EXPECT_TRUE(channel.may_publish());
}

TEST_F(ChannelTest, takes_no_publish_beyond_what_may_wait_for_its_confirm) {
    Options few = options();
    few.unconfirmed_max = 3;
    Connection other(few, witness);
    Channel there(other, witness);
    other.open({"guest", "guest", "/"}, now);
    std::string bytes;
    append_method(bytes, 0, ConnectionStart{});
    append_method(bytes, 0, ConnectionTune{});
    append_method(bytes, 0, ConnectionOpenOk{});
    ASSERT_TRUE(other.receive(bytes, now));
    ASSERT_TRUE(there.open());
    bytes.clear();
    append_method(bytes, 1, ChannelOpenOk{});
    ASSERT_TRUE(other.receive(bytes, now));
    there.request(ConfirmSelect{});
    const Message message{.routing_key = "k", .properties = std::string_view("\0\0", 2)};
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(there.publish(message, 1));
    EXPECT_FALSE(there.publish(message, 1));
    other.reset();
}

TEST_F(ChannelTest, properties_that_fit_no_frame_are_refused) {
    ASSERT_TRUE(connect({2'047, 4'096, 60}));
    ASSERT_TRUE(channel.open());
    ASSERT_TRUE(answer(ChannelOpenOk{}));
    EXPECT_TRUE(channel.fits(4'076));
    EXPECT_FALSE(channel.fits(4'077));
    EXPECT_FALSE(channel.publish({.properties = std::string(4'077, '\0')}));
}

TEST_F(ChannelTest, whoever_is_told_may_publish_at_once) {
    struct Again final : ChannelHandler {
        void on_confirm(std::uint64_t context, bool) override {
            told.push_back(context);
            if (context < 3) channel->publish({.properties = std::string_view("\0\0", 2)}, context + 10);
        }
        Channel* channel = nullptr;
        std::vector<std::uint64_t> told;
    } again;
    ASSERT_TRUE(connect());
    Channel own(connection, again);
    again.channel = &own;
    ASSERT_TRUE(own.open());
    ASSERT_TRUE(answer(ChannelOpenOk{}));
    own.request(ConfirmSelect{});
    ASSERT_TRUE(answer(ConfirmSelectOk{}));
    const Message message{.properties = std::string_view("\0\0", 2)};
    own.publish(message, 1);
    own.publish(message, 2);
    ASSERT_TRUE(answer(BasicAck{0, true}));
    EXPECT_EQ(again.told, (std::vector<std::uint64_t>{1, 2}));
    ASSERT_TRUE(answer(BasicAck{4, true}));
    EXPECT_EQ(again.told, (std::vector<std::uint64_t>{1, 2, 11, 12}));
}

TEST_F(ChannelTest, tells_of_a_returned_message_and_skips_its_body) {
    open_confirming_channel();
    BasicReturn returned;
    returned.reply_code = 312;
    returned.routing_key = "nowhere";
    ASSERT_TRUE(answer(returned));
    ASSERT_TRUE(receive(content(flags(), std::string(200'000, 'x'), 4'096), 1'000));
    EXPECT_EQ(witness.take(), Events{"returned 312 nowhere"});
}

TEST_F(ChannelTest, an_error_of_the_channel_leaves_the_connection) {
    open_channel();
    channel.request(QueueDeclare{.queue = "orders", .passive = true});
    sent();
    ChannelClose close;
    close.reply_code = 404;
    close.reply_text = "NOT_FOUND - no queue 'orders'";
    ASSERT_TRUE(answer(close));
    EXPECT_EQ(witness.take(), Events{"closed closed by the broker: 404 NOT_FOUND - no queue 'orders'"});
    EXPECT_EQ(sent_names(), Names{"Channel.CloseOk"});
    EXPECT_FALSE(channel.is_open());
    EXPECT_EQ(channel.request(QueuePurge{}), 0u);
    EXPECT_TRUE(connection.is_open());
    ASSERT_TRUE(channel.open());
    ASSERT_TRUE(answer(ChannelOpenOk{}));
    EXPECT_TRUE(channel.is_open());
}

TEST_F(ChannelTest, a_body_on_its_way_is_cut_at_its_frame_when_the_channel_is_closed) {
    open_confirming_channel();
    const std::string body(500'000, 'l');
    ASSERT_TRUE(publish(body, 1));
    send(10'000);
    ASSERT_TRUE(answer(ChannelClose{406, "PRECONDITION_FAILED", 60, 40}));
    EXPECT_EQ(sent_names(), (Names{"Basic.Publish", "header", "body", "Channel.CloseOk"}));
    EXPECT_EQ(witness.take(),
              (Events{"closed closed by the broker: 406 PRECONDITION_FAILED", "body sent 1"}));
    EXPECT_TRUE(wire.empty()) << "frames stay whole";
}

TEST_F(ChannelTest, answers_come_to_their_requests_in_order) {
    open_channel();
    const std::uint32_t declared = channel.request(QueueDeclare{.queue = "orders", .durable = true});
    const std::uint32_t bound = channel.request(QueueBind{.queue = "orders", .exchange = "e"});
    const std::uint32_t purged = channel.request(QueuePurge{.queue = "orders", .nowait = true});
    EXPECT_EQ(sent_names(), (Names{"Queue.Declare", "Queue.Bind", "Queue.Purge"}));
    ASSERT_TRUE(answer(QueueDeclareOk{"orders", 17, 2}));
    ASSERT_TRUE(answer(QueueBindOk{}));
    ASSERT_TRUE(answer(QueuePurgeOk{17}));
    EXPECT_EQ(witness.take(), (Events{"Queue.DeclareOk orders 17", "Queue.BindOk  0", "Queue.PurgeOk  17"}));
    EXPECT_EQ(witness.requests, (std::vector<std::uint32_t>{declared, bound, purged}));
    EXPECT_FALSE(answer(QueuePurgeOk{17})) << "nobody asked";
}

TEST_F(ChannelTest, an_answer_out_of_order_is_refused) {
    open_channel();
    channel.request(QueueDeclare{.queue = "orders"});
    channel.request(QueuePurge{.queue = "orders"});
    EXPECT_FALSE(answer(QueuePurgeOk{17}));
}

TEST_F(ChannelTest, a_request_without_an_answer_has_an_end) {
    open_channel();
    channel.request(QueuePurge{.queue = "orders"});
    const Time asked = now;
    for (now = asked + seconds(10); now < asked + seconds(30); now += seconds(10)) {
        std::string heartbeat;
        append_frame(heartbeat, FrameType::heartbeat, 0, {});
        ASSERT_TRUE(receive(heartbeat));
        ASSERT_TRUE(connection.on_time(now));
        EXPECT_LE(connection.due(), asked + seconds(30));
    }
    const Result<> late = connection.on_time(asked + seconds(30));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().message, "no answer to a request");
}

TEST_F(ChannelTest, requests_that_wait_are_bounded) {
    open_channel();
    for (std::size_t i = 0; i < Channel::requests_max; ++i) EXPECT_NE(channel.request(BasicQos{}), 0u);
    EXPECT_EQ(channel.request(BasicQos{}), 0u);
}

TEST_F(ChannelTest, consumes_bodies_in_one_frame_and_in_many) {
    open_channel();
    channel.request(BasicQos{.prefetch_count = 10});
    channel.request(BasicConsume{.queue = "orders", .consumer_tag = "c"});
    ASSERT_TRUE(answer(BasicQosOk{}));
    ASSERT_TRUE(answer(BasicConsumeOk{"c"}));
    witness.take();
    const std::vector<std::string> bodies{"", "short", std::string(20'000, 'm'), std::string(100'000, 'n')};
    std::uint64_t tag = 0;
    for (const std::string& body : bodies) {
        ASSERT_TRUE(deliver(++tag, body, 4'096, 777));
        ASSERT_TRUE(deliver(++tag, body));
    }
    ASSERT_EQ(witness.bodies.size(), 8u);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(witness.bodies[i], bodies[i / 2]);
    sent();
    channel.acknowledge(1);
    channel.acknowledge(3, true);
    channel.reject(4);
    channel.requeue(5);
    channel.requeue(8, true);
    EXPECT_EQ(sent_names(), (Names{"Basic.Ack", "Basic.Ack", "Basic.Reject", "Basic.Reject", "Basic.Nack"}));
}

TEST_F(ChannelTest, a_body_beyond_the_budget_is_skipped_and_told) {
    open_channel();
    ASSERT_TRUE(deliver(1, std::string(100'001, 'x'), 4'096, 10'000));
    ASSERT_TRUE(deliver(2, "next"));
    EXPECT_EQ(witness.take(), (Events{"oversized 1 100001 0", "delivery 2"}));
    Channel second(connection, witness);
    ASSERT_TRUE(second.open());
    ASSERT_TRUE(answer(ChannelOpenOk{}, 2));
    witness.take();
    BasicDeliver method;
    std::string bytes;
    append_method(bytes, 2, method);
    const std::string large = content(flags(), std::string(90'000, 'x'), 4'096, 2);
    const std::size_t ten_frames = content_size(2, 0, 4'096) + 10 * 4'096;
    ASSERT_TRUE(receive(bytes + large.substr(0, ten_frames))) << "it holds 90,000 of 150,000 bytes";
    ASSERT_TRUE(deliver(3, std::string(90'000, 'y'), 4'096));
    ASSERT_TRUE(receive(large.substr(ten_frames)));
    ASSERT_TRUE(deliver(4, std::string(90'000, 'y'), 4'096));
    EXPECT_EQ(witness.take(), (Events{"oversized 3 90000 0", "delivery 0", "delivery 4"}));
}

TEST_F(ChannelTest, a_header_may_promise_more_than_there_is) {
    open_channel();
    BasicDeliver method;
    ASSERT_TRUE(answer(method));
    std::string header(content_size(2, 0, 4'096), '\0');
    store_content_header(header.data(), 1, flags(), UINT64_MAX);
    ASSERT_TRUE(receive(header));
    std::string body;
    append_frame(body, FrameType::body, 1, "some");
    ASSERT_TRUE(receive(body));
    EXPECT_FALSE(answer(method)) << "a method within a message";
}

TEST_F(ChannelTest, content_that_breaks_its_promise_is_refused) {
    const auto refuses = [&](const std::string& bytes) {
        ASSERT_NO_FATAL_FAILURE(open_channel());
        ASSERT_TRUE(answer(BasicDeliver{}));
        EXPECT_FALSE(receive(bytes));
    };
    std::string body, header(content_size(2, 0, 4'096), '\0'), empty;
    append_frame(body, FrameType::body, 1, "four");
    append_frame(empty, FrameType::body, 1, "");
    store_content_header(header.data(), 1, flags(), 3);
    refuses(body);
    refuses(header + body);
    refuses(header + empty);
    refuses(header + header);
    std::string of_other_class = header;
    of_other_class[frame_head + 1] = 61;
    refuses(of_other_class);
}

TEST_F(ChannelTest, both_sides_may_end_a_consumer) {
    open_channel();
    channel.request(BasicConsume{.queue = "orders", .consumer_tag = "mine"});
    ASSERT_TRUE(answer(BasicConsumeOk{"mine"}));
    channel.request(BasicCancel{.consumer_tag = "mine"});
    ASSERT_TRUE(answer(BasicCancelOk{"mine"}));
    sent();
    ASSERT_TRUE(answer(BasicCancel{"theirs", true}));
    EXPECT_TRUE(sent_names().empty());
    ASSERT_TRUE(answer(BasicCancel{"theirs", false}));
    EXPECT_EQ(sent_names(), Names{"Basic.CancelOk"});
    EXPECT_EQ(witness.take(), (Events{"Basic.ConsumeOk mine 0", "Basic.CancelOk mine 0", "cancelled theirs",
                                      "cancelled theirs"}));
}

TEST_F(ChannelTest, the_broker_may_stop_the_flow) {
    open_channel();
    ASSERT_TRUE(answer(ChannelFlow{false}));
    EXPECT_FALSE(channel.may_publish());
    ASSERT_TRUE(answer(ChannelFlow{true}));
    EXPECT_TRUE(channel.may_publish());
    EXPECT_EQ(sent_names(), (Names{"Channel.FlowOk", "Channel.FlowOk"}));
    EXPECT_EQ(witness.take(), (Events{"flow off", "flow on"}));
}

TEST_F(ChannelTest, a_handler_may_close_the_channel_over_a_delivery) {
    struct Closing final : ChannelHandler {
        void on_delivery(const Delivery& delivery) override {
            EXPECT_TRUE(channel->close());
            EXPECT_EQ(delivery.body, std::string(90'000, 'd'));
        }
        Channel* channel = nullptr;
    } closing;
    ASSERT_TRUE(connect());
    Channel own(connection, closing);
    closing.channel = &own;
    ASSERT_TRUE(own.open());
    ASSERT_TRUE(answer(ChannelOpenOk{}));
    ASSERT_TRUE(deliver(1, std::string(90'000, 'd'), 4'096));
    EXPECT_FALSE(own.is_open());
}

}  // namespace
}  // namespace havn::amqp::client
