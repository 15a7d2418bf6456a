// A broker that a test speaks through: it reads what a client sends, frame by frame, and sends what the test
// wants it to.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "amqp/client/channel.h"
#include "amqp/client/connection.h"
#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::amqp::client {

// One frame that the client sent.
struct SentFrame {
    FrameType type{};
    std::uint16_t channel = 0;
    MethodId method = 0;  // of a method frame
    std::string payload;  // of a method frame: its arguments
};

// Writes down what it is told.
struct Witness final : ConnectionHandler, ChannelHandler {
    void on_connected() override { events.push_back("connected"); }
    void on_blocked(std::string_view reason) override { events.push_back("blocked " + std::string(reason)); }
    void on_unblocked() override { events.push_back("unblocked"); }
    void on_open() override { events.push_back("open"); }
    void on_closed(const Error& why) override { events.push_back("closed " + why.message); }
    void on_reply(const Reply& reply) override {
        events.push_back(std::string(method_name(reply.method)) + " " + std::string(reply.name) + " " +
                         std::to_string(reply.messages));
        requests.push_back(reply.request);
    }
    void on_confirm(std::uint64_t context, bool accepted) override {
        events.push_back((accepted ? "ack " : "nack ") + std::to_string(context));
    }
    void on_returned(const Returned& returned) override {
        events.push_back("returned " + std::to_string(returned.reply_code) + " " +
                         std::string(returned.routing_key));
    }
    void on_body_sent(std::uint64_t context, std::uint64_t) override {
        events.push_back("body sent " + std::to_string(context));
    }
    void on_delivery(const Delivery& delivery) override {
        events.push_back("delivery " + std::to_string(delivery.tag));
        bodies.emplace_back(delivery.body);
        last_properties = delivery.properties;
    }
    void on_oversized(const Delivery& delivery) override {
        events.push_back("oversized " + std::to_string(delivery.tag) + " " +
                         std::to_string(delivery.body_size) + " " + std::to_string(delivery.body.size()));
    }
    void on_cancelled(std::string_view tag) override { events.push_back("cancelled " + std::string(tag)); }
    void on_flow(bool active) override { events.push_back(active ? "flow on" : "flow off"); }

    std::vector<std::string> take() { return std::exchange(events, {}); }

    std::vector<std::string> events, bodies;
    std::vector<std::uint32_t> requests;
    std::string last_properties;
};

struct ClientTest : testing::Test {
    static std::string flags() { return std::string(2, '\0'); }  // properties: none

    // Gives the client all of `bytes`, `piece` at a time as a socket would; what it does not eat is kept.
    Result<> receive(std::string_view bytes, std::size_t piece = SIZE_MAX) {
        while (!bytes.empty()) {
            unread += bytes.substr(0, piece);
            bytes.remove_prefix(std::min(piece, bytes.size()));
            const Result<std::size_t> eaten = connection.receive(unread, now);
            if (!eaten) return std::unexpected(eaten.error());
            unread.erase(0, *eaten);
        }
        return {};
    }
    template <class Method>
    Result<> answer(const Method& method, std::uint16_t channel = 1) {
        std::string bytes;
        append_method(bytes, channel, method);
        return receive(bytes);
    }
    std::string content(std::string_view properties, std::string_view body, std::uint32_t frame_max = 131'072,
                        std::uint16_t channel = 1) {
        std::string bytes(content_size(properties.size(), body.size(), frame_max), '\0');
        store_content(bytes.data(), channel, properties, body, frame_max);
        return bytes;
    }
    Result<> deliver(std::uint64_t tag, std::string_view body, std::uint32_t frame_max = 131'072,
                     std::size_t piece = SIZE_MAX) {
        std::string bytes;
        BasicDeliver method;
        method.consumer_tag = "c";
        method.delivery_tag = tag;
        method.routing_key = "orders";
        append_method(bytes, 1, method);
        return receive(bytes + content(flags(), body, frame_max), piece);
    }
    Result<> connect(ConnectionTune tune = {2'047, 131'072, 60}) {
        unread.clear();
        connection.open({"guest", "secret", "/"}, now);
        ConnectionStart start;
        start.mechanisms = "PLAIN AMQPLAIN";
        start.locales = "en_US";
        Result<> taken = answer(start, 0);
        if (taken) taken = answer(tune, 0);
        if (taken) taken = answer(ConnectionOpenOk{}, 0);
        return taken;
    }
    void open_channel() {
        ASSERT_TRUE(connect());
        ASSERT_TRUE(channel.open());
        ASSERT_TRUE(answer(ChannelOpenOk{}));
        sent();
        witness.take();
    }
    void open_confirming_channel() {
        open_channel();
        ASSERT_NE(channel.request(ConfirmSelect{}), 0u);
        ASSERT_TRUE(answer(ConfirmSelectOk{}));
        sent();
        witness.take();
    }
    std::optional<Published> publish(std::string_view body, std::uint64_t context) {
        return channel.publish(
            {.routing_key = "orders", .properties = std::string_view("\0\0", 2), .body = body}, context);
    }

    // Takes up to `most` bytes of what is to be sent.
    std::size_t send(std::size_t most = SIZE_MAX) {
        const Output::Pieces pieces = connection.pieces();
        std::string bytes(pieces.head);
        bytes += pieces.body;
        bytes.resize(std::min(most, bytes.size()));
        wire += bytes;
        connection.sent(bytes.size());
        return bytes.size();
    }
    // All that is to be sent, as frames.
    std::vector<SentFrame> sent() {
        while (send() > 0) {
        }
        return parse();
    }
    std::vector<SentFrame> parse() {
        std::vector<SentFrame> frames;
        if (wire.starts_with(protocol_header)) wire.erase(0, protocol_header.size());
        for (;;) {
            const FrameParse parsed = parse_frame(wire, 131'072);
            EXPECT_NE(parsed.status, Parse::bad_end);
            EXPECT_NE(parsed.status, Parse::too_large);
            if (parsed.status != Parse::complete) return frames;
            SentFrame frame{static_cast<FrameType>(parsed.frame.type), parsed.frame.channel, 0,
                            std::string(parsed.frame.payload)};
            if (frame.type == FrameType::method) {
                frame.method = load<MethodId>(frame.payload.data());
                frame.payload.erase(0, sizeof(MethodId));
            }
            frames.push_back(std::move(frame));
            wire.erase(0, parsed.eaten);
        }
    }
    std::vector<std::string> sent_names() {
        std::vector<std::string> names;
        for (const SentFrame& frame : sent()) {
            names.emplace_back(frame.type == FrameType::method      ? std::string(method_name(frame.method))
                               : frame.type == FrameType::header    ? "header"
                               : frame.type == FrameType::heartbeat ? "heartbeat"
                                                                    : "body");
        }
        return names;
    }

    static Options options() {
        Options options;
        options.channels_max = 4;
        options.message_bytes_max = 100'000;
        options.content_bytes_max = 150'000;
        return options;
    }

    Time now{std::chrono::hours(1)};
    Witness witness;
    Connection connection{options(), witness};
    Channel channel{connection, witness};
    std::string unread;  // by the client
    std::string wire;    // sent by the client, not parsed yet
};

}  // namespace havn::amqp::client
