#include "gateway/core/http1/body.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace havn::gateway {
namespace {

using Kind = http1::Framing::Kind;

struct Passed {
    std::string bytes;
    std::size_t eaten = 0;
    http1::Rule rule = http1::Rule::none;
};

// Passes `input` through in pieces, each in a buffer with just the room that is promised.
Passed pass(Body& body, const std::string& input, std::size_t piece) {
    Passed sent;
    for (std::size_t at = 0; at < input.size() && !body.done(); at += piece) {
        const std::string part = input.substr(at, piece);
        std::vector<char> memory(Body::headroom + part.size() + Body::tailroom);
        std::copy(part.begin(), part.end(), memory.begin() + Body::headroom);
        const Body::Piece rewritten = body.rewrite(memory.data() + Body::headroom, part.size());
        sent.bytes += rewritten.send;
        sent.eaten += rewritten.eaten;
        sent.rule = rewritten.rule;
        if (sent.rule != http1::Rule::none) break;
    }
    return sent;
}

TEST(Body, chunks_are_written_anew_without_extensions_and_trailers) {
    const std::string input =
        "0005;a=b\r\nhello\r\n10 ; x\r\n0123456789abcdef\r\n1\r\n!\r\n000;l\r\nT: v\r\n\r\nNEXT";
    for (std::size_t piece = 1; piece <= input.size(); ++piece) {
        Body body({Kind::chunked, 0}, Body::Coding::chunked);
        const Passed sent = pass(body, input, piece);
        EXPECT_EQ(sent.bytes, "5\r\nhello\r\n10\r\n0123456789abcdef\r\n1\r\n!\r\n0\r\n\r\n") << piece;
        EXPECT_EQ(sent.eaten, input.size() - 4) << piece;
        EXPECT_TRUE(body.done());
        EXPECT_EQ(body.payload_bytes(), 22u);
    }
}

TEST(Body, chunks_are_taken_apart_for_who_cannot_read_them) {
    const std::string input = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    for (std::size_t piece = 1; piece <= input.size(); ++piece) {
        Body body({Kind::chunked, 0}, Body::Coding::identity);
        EXPECT_EQ(pass(body, input, piece).bytes, "hello world") << piece;
        EXPECT_TRUE(body.done());
    }
}

TEST(Body, an_empty_chunked_body_is_its_last_chunk) {
    Body body({Kind::chunked, 0}, Body::Coding::chunked);
    EXPECT_EQ(pass(body, "0\r\n\r\n", 100).bytes, "0\r\n\r\n");
}

TEST(Body, a_length_ends_the_body_and_leaves_the_rest) {
    Body body({Kind::length, 5}, Body::Coding::identity);
    const Passed sent = pass(body, "helloNEXT", 4);
    EXPECT_EQ(sent.bytes, "hello");
    EXPECT_EQ(sent.eaten, 5u);
    EXPECT_TRUE(body.done());
}

TEST(Body, what_ends_at_the_close_is_sent_in_chunks_and_ended_there_only) {
    for (std::size_t piece = 1; piece < 5; ++piece) {
        Body body({Kind::until_close, 0}, Body::Coding::chunked);
        std::string text = pass(body, "abcd", piece).bytes;
        std::string_view end;
        EXPECT_FALSE(body.done());
        EXPECT_TRUE(body.finish(end));
        text += end;
        Body back({Kind::chunked, 0}, Body::Coding::identity);
        EXPECT_EQ(pass(back, text, 100).bytes, "abcd");
        EXPECT_TRUE(back.done());
    }
}

TEST(Body, a_sender_that_stops_early_is_told_apart) {
    std::string_view end;
    Body length({Kind::length, 5}, Body::Coding::identity);
    pass(length, "hel", 10);
    EXPECT_FALSE(length.finish(end));
    Body chunked({Kind::chunked, 0}, Body::Coding::chunked);
    EXPECT_EQ(pass(chunked, "5\r\nhel", 10).bytes, "5\r\nhel");
    EXPECT_FALSE(chunked.finish(end));
    EXPECT_EQ(end, "");
}

TEST(Body, malformed_chunks_stop_it) {
    Body body({Kind::chunked, 0}, Body::Coding::chunked);
    EXPECT_EQ(pass(body, "5\r\nhelloX", 100).rule, http1::Rule::chunk_end);
}

}  // namespace
}  // namespace havn::gateway
