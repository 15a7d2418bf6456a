#include "wire/amqp/frame.h"

#include <gtest/gtest.h>

namespace havn::amqp {
namespace {

TEST(AFrame, is_complete_only_with_its_last_byte) {
    std::string bytes;
    append_frame(bytes, FrameType::body, 3, "payload");
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_EQ(parse_frame(std::string_view(bytes).substr(0, size), 4'096).status, Parse::need_more)
            << size;
    }
    const std::string more = bytes + "next";
    const FrameParse parsed = parse_frame(more, 4'096);
    EXPECT_EQ(parsed.status, Parse::complete);
    EXPECT_EQ(parsed.eaten, bytes.size());
    EXPECT_EQ(parsed.frame.type, 3);
    EXPECT_EQ(parsed.frame.channel, 3);
    EXPECT_EQ(parsed.frame.payload, "payload");
}

TEST(AFrame, without_its_end_mark_is_malformed) {
    std::string bytes;
    append_frame(bytes, FrameType::body, 3, "payload");
    bytes.back() = '\0';
    EXPECT_EQ(parse_frame(bytes, 4'096).status, Parse::bad_end);
}

TEST(AFrame, is_measured_with_its_overhead) {
    std::string bytes;
    append_frame(bytes, FrameType::body, 1, std::string(4'096 - frame_overhead, 'x'));
    EXPECT_EQ(parse_frame(bytes, 4'096).status, Parse::complete);
    EXPECT_EQ(parse_frame(bytes, 4'095).status, Parse::too_large);
    EXPECT_EQ(parse_frame(bytes, 0).status, Parse::complete) << "0 means no bound";
}

TEST(AFrame, that_would_be_too_large_is_refused_before_it_is_there) {
    EXPECT_EQ(parse_frame(std::string_view("\x01\0\0\xff\xff\xff\xff", 7), 4'096).status, Parse::too_large);
    EXPECT_EQ(parse_frame(std::string_view("\x01\0\0\xff\xff\xff\xff", 7), 0).status, Parse::need_more);
}

std::vector<std::size_t> body_frames(std::size_t body, std::uint32_t frame_max) {
    std::string out;
    const std::size_t size = content_size(2, body, frame_max);
    char* from = extend(out, size);
    const char* end = store_content(from, 1, std::string_view("\0\0", 2), std::string(body, 'b'), frame_max);
    EXPECT_EQ(static_cast<std::size_t>(end - from), size);
    std::vector<std::size_t> sizes;
    std::string_view rest = out;
    while (!rest.empty()) {
        const FrameParse parsed = parse_frame(rest, frame_max);
        EXPECT_EQ(parsed.status, Parse::complete);
        if (parsed.frame.type == 3) sizes.push_back(parsed.frame.payload.size());
        rest.remove_prefix(parsed.eaten);
    }
    return sizes;
}

TEST(AContent, is_cut_into_frames_that_fit) {
    EXPECT_EQ(body_frames(0, 4'096), (std::vector<std::size_t>{}));
    EXPECT_EQ(body_frames(1, 4'096), (std::vector<std::size_t>{1}));
    EXPECT_EQ(body_frames(4'088, 4'096), (std::vector<std::size_t>{4'088}));
    EXPECT_EQ(body_frames(4'089, 4'096), (std::vector<std::size_t>{4'088, 1}));
    EXPECT_EQ(body_frames(100'000, 0), (std::vector<std::size_t>{100'000}));
}

TEST(Extend, writes_nothing_behind_what_was_asked) {
    std::string text = "short";  // grows out of the string's own buffer
    store_bytes(extend(text, 20), "12345678901234567890");
    EXPECT_EQ(text, "short12345678901234567890");
}

}  // namespace
}  // namespace havn::amqp
