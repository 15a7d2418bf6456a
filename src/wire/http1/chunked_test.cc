#include "wire/http1/chunked.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/http1/write.h"

namespace havn::http1 {
namespace {

using namespace std::string_literals;

struct Outcome {
    std::string body;
    std::vector<std::uint64_t> chunks;
    bool ended = false;
    Rule rule = Rule::none;
    std::size_t eaten = 0;
    bool operator==(const Outcome&) const = default;
};

// Feeds `piece` bytes at a time.
Outcome decode(const std::string& input, std::size_t piece) {
    ChunkedDecoder decoder;
    Outcome outcome;
    for (std::size_t at = 0; at < input.size(); at += piece) {
        std::string_view rest = std::string_view(input).substr(at, piece);
        while (!rest.empty()) {
            const ChunkedDecoder::Step step = decoder.next(rest);
            outcome.eaten += step.eaten;
            rest.remove_prefix(step.eaten);
            if (step.event == ChunkedDecoder::Event::chunk) outcome.chunks.push_back(step.size);
            outcome.body += step.data;
            if (step.event == ChunkedDecoder::Event::malformed) outcome.rule = step.rule;
            outcome.ended = step.event == ChunkedDecoder::Event::end;
            if (outcome.ended || outcome.rule != Rule::none) return outcome;
        }
    }
    return outcome;
}

TEST(Chunked, a_body_is_read_whatever_the_pieces) {
    const std::string message = "5\r\nhello\r\n00B;a=\"b c\"\r\n, my world!\r\n0\r\nX-T: v\r\n\r\n";
    for (std::size_t piece = 1; piece <= message.size() + 4; ++piece) {
        const Outcome expected{"hello, my world!", {5, 11}, true, Rule::none, message.size()};
        EXPECT_EQ(decode(message + "NEXT", piece), expected) << piece;
    }
}

TEST(Chunked, what_is_written_reads_back_the_same) {
    std::string text;
    std::string body;
    for (const std::size_t size : {1u, 15u, 16u, 4096u}) {
        const std::string data(size, 'd');
        write_chunk_size(text, size);
        text += data + "\r\n";
        body += data;
    }
    text += last_chunk;
    EXPECT_EQ(decode(text, 100).body, body);
    EXPECT_TRUE(decode(text, 100).ended);
}

TEST(Chunked, malformed_framing_is_refused) {
    const std::vector<std::pair<std::string, Rule>> table{
        {"\r\n", Rule::chunk_size},
        {"g\r\n", Rule::chunk_size},
        {"+5\r\nhello\r\n", Rule::chunk_size},
        {"-5\r\nhello\r\n", Rule::chunk_size},
        {"0x5\r\nhello\r\n", Rule::chunk_size},
        {" 5\r\nhello\r\n", Rule::chunk_size},
        {"5\nhello\r\n", Rule::chunk_size},
        {"5\rhello\r\n", Rule::chunk_size},
        {"00000000000000005\r\nhello\r\n", Rule::chunk_size},
        {"ffffffffffffffff\r\nx", Rule::chunk_size},
        {"5 5\r\nhello\r\n", Rule::chunk_extension},
        {"5;a\nb\r\nhello\r\n", Rule::chunk_extension},
        {"5;a\0\r\nhello\r\n"s, Rule::chunk_extension},
        {"5;" + std::string(300, 'a') + "\r\nhello\r\n", Rule::chunk_extension},
        {"5\r\nhelloX\r\n", Rule::chunk_end},
        {"5\r\nhello\n0\r\n\r\n", Rule::chunk_end},
        {"5\r\nhello\rX", Rule::chunk_end},
        {"0\r\n\n", Rule::trailer},
        {"0\r\nA\r\n\r\n", Rule::trailer},
        {"0\r\nA b: c\r\n\r\n", Rule::trailer},
        {"0\r\nA: b\n\r\n", Rule::trailer},
        {"0\r\n: b\r\n\r\n", Rule::trailer},
        {"0\r\nA: " + std::string(9000, 'b') + "\r\n\r\n", Rule::trailer},
    };
    for (const auto& [input, rule] : table) {
        for (const std::size_t piece : {std::size_t{1}, input.size()}) {
            const Outcome outcome = decode(input, piece);
            EXPECT_EQ(row(outcome.rule).text, row(rule).text) << input.substr(0, 20);
        }
    }
}

TEST(Chunked, extensions_are_bounded_over_the_whole_message) {
    std::string input;
    for (int i = 0; i < 100; ++i) input += "1;" + std::string(250, 'e') + "\r\nx\r\n";
    EXPECT_EQ(decode(input, 1000).rule, Rule::chunk_extension);
}

TEST(Chunked, a_size_never_wraps_round) {
    for (const std::string_view size :
         {"8000000000000000", "ffffffffffffffff", "10000000000000000", "00000000000000001",
          "1ffffffffffffffff", "-1", "+1", "0x1", "1_0", "1 1", "", ";a"}) {
        ChunkedDecoder decoder;
        const std::string text = std::string(size) + "\r\nhello";
        std::string_view rest = text;
        ChunkedDecoder::Step step;
        do {
            step = decoder.next(rest);
            rest.remove_prefix(step.eaten);
        } while (!rest.empty() && step.event != ChunkedDecoder::Event::malformed);
        EXPECT_EQ(step.event, ChunkedDecoder::Event::malformed) << size;
    }
    ChunkedDecoder decoder;
    const ChunkedDecoder::Step largest = decoder.next("7fffffffffffffff\r\n");
    EXPECT_EQ(largest.event, ChunkedDecoder::Event::chunk);
    EXPECT_EQ(largest.size, 0x7fffffffffffffffu);
}

}  // namespace
}  // namespace havn::http1
