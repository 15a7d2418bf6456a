#include "gateway/core/http1/body.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace havn::gateway {
namespace {

using Kind = http1::Framing::Kind;
using Coding = BodyEncoder::Coding;

struct Passed {
    std::string bytes;
    std::size_t eaten = 0;
    http1::Rule rule = http1::Rule::none;
};

// Passes `input` through in pieces, each in a buffer with just the room that is promised.
Passed pass(BodyDecoder& decoder, Coding coding, const std::string& input, std::size_t piece) {
    const BodyEncoder encoder(coding);
    Passed sent;
    for (std::size_t at = 0; at < input.size() && !decoder.done(); at += piece) {
        const std::string part = input.substr(at, piece);
        Buffer buffer(Buffer::headroom + part.size() + Buffer::tailroom);
        buffer.append(part);
        const BodyDecoder::Decoded decoded = decoder.decode(buffer.first(), buffer.size());
        sent.eaten += decoded.eaten;
        sent.rule = decoded.rule;
        if (sent.rule != http1::Rule::none) break;
        const Piece found{.bytes = decoded.payload, .in = &buffer, .last = decoder.done()};
        const std::string first(encoder.encode(found));
        EXPECT_EQ(encoder.encode(found), first) << "a retry sends the same";
        sent.bytes += first;
    }
    return sent;
}

TEST(Body, chunks_are_written_anew_without_extensions_and_trailers) {
    const std::string input =
        "0005;a=b\r\nhello\r\n10 ; x\r\n0123456789abcdef\r\n1\r\n!\r\n000;l\r\nT: v\r\n\r\nNEXT";
    for (std::size_t piece = 1; piece <= input.size(); ++piece) {
        BodyDecoder decoder({Kind::chunked, 0});
        const Passed sent = pass(decoder, Coding::chunked, input, piece);
        EXPECT_EQ(sent.eaten, input.size() - 4) << piece;
        EXPECT_TRUE(decoder.done());
        EXPECT_EQ(decoder.payload_bytes(), 22u);
        BodyDecoder back({Kind::chunked, 0});
        const Passed read = pass(back, Coding::identity, sent.bytes, sent.bytes.size());
        EXPECT_EQ(read.bytes, "hello0123456789abcdef!") << piece;
        EXPECT_EQ(read.eaten, sent.bytes.size()) << piece;
        EXPECT_TRUE(back.done()) << piece;
        EXPECT_EQ(sent.bytes.find_first_of(";T"), std::string::npos) << piece;
    }
    BodyDecoder whole({Kind::chunked, 0});
    EXPECT_EQ(pass(whole, Coding::chunked, input, input.size()).bytes,
              "16\r\nhello0123456789abcdef!\r\n0\r\n\r\n");
    BodyDecoder single({Kind::chunked, 0});
    EXPECT_EQ(pass(single, Coding::chunked, input, 1).bytes.substr(0, 12), "1\r\nh\r\n1\r\ne\r\n");
}

TEST(Body, chunks_are_taken_apart_for_who_cannot_read_them) {
    const std::string input = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    for (std::size_t piece = 1; piece <= input.size(); ++piece) {
        BodyDecoder decoder({Kind::chunked, 0});
        EXPECT_EQ(pass(decoder, Coding::identity, input, piece).bytes, "hello world") << piece;
        EXPECT_TRUE(decoder.done());
    }
}

TEST(Body, an_empty_chunked_body_is_its_last_chunk) {
    BodyDecoder decoder({Kind::chunked, 0});
    EXPECT_EQ(pass(decoder, Coding::chunked, "0\r\n\r\n", 100).bytes, "0\r\n\r\n");
}

TEST(Body, a_length_ends_the_body_and_leaves_the_rest) {
    BodyDecoder decoder({Kind::length, 5});
    const Passed sent = pass(decoder, Coding::identity, "helloNEXT", 4);
    EXPECT_EQ(sent.bytes, "hello");
    EXPECT_EQ(sent.eaten, 5u);
    EXPECT_TRUE(decoder.done());
}

TEST(Body, what_ends_at_the_close_is_sent_in_chunks_and_ended_there_only) {
    for (std::size_t piece = 1; piece < 5; ++piece) {
        BodyDecoder decoder({Kind::until_close, 0});
        std::string text = pass(decoder, Coding::chunked, "abcd", piece).bytes;
        EXPECT_FALSE(decoder.done());
        EXPECT_TRUE(decoder.finish());
        text += BodyEncoder(Coding::chunked).encode({.last = true});
        BodyDecoder back({Kind::chunked, 0});
        EXPECT_EQ(pass(back, Coding::identity, text, 100).bytes, "abcd");
        EXPECT_TRUE(back.done());
    }
}

TEST(Body, a_sender_that_stops_early_is_told_apart) {
    BodyDecoder length({Kind::length, 5});
    pass(length, Coding::identity, "hel", 10);
    EXPECT_FALSE(length.finish());
    BodyDecoder chunked({Kind::chunked, 0});
    EXPECT_EQ(pass(chunked, Coding::chunked, "5\r\nhel", 10).bytes, "3\r\nhel\r\n");
    EXPECT_FALSE(chunked.finish());
}

TEST(Body, malformed_chunks_stop_it) {
    BodyDecoder decoder({Kind::chunked, 0});
    EXPECT_EQ(pass(decoder, Coding::chunked, "5\r\nhelloX", 100).rule, http1::Rule::chunk_end);
}

}  // namespace
}  // namespace havn::gateway
