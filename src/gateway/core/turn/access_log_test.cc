#include "gateway/core/turn/access_log.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace havn::gateway {
namespace {

TEST(AccessLog, a_line_is_one_object_whatever_the_client_sent) {
    std::string all_bytes;
    for (unsigned c = 0; c < 256; ++c) all_bytes += static_cast<char>(c);
    std::string line;
    append_line(line, {.time = "t",
                       .id = "i",
                       .client = "1.2.3.4",
                       .method = "GET",
                       .host = "h\"",
                       .target = all_bytes,
                       .route = "/",
                       .upstream = "u",
                       .cause = "timeout",
                       .status = 200,
                       .bytes_in = 1,
                       .bytes_out = 2,
                       .duration = microseconds(12'034)});
    EXPECT_EQ(line.back(), '\n');
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    const Result<Json> json = parse_json(line);
    ASSERT_TRUE(json.has_value()) << json.error().text();
    EXPECT_EQ((*json)["host"], "h\"");
    EXPECT_EQ((*json)["duration_ms"], 12.034);
    EXPECT_EQ((*json)["cause"], "timeout");
}

TEST(AccessLog, utf_8_passes_and_what_is_none_is_marked) {
    std::string out;
    append_json_text(out, "blåbær \xe2\x82\xac \xf0\x9f\x98\x80");
    EXPECT_EQ(out, "blåbær \xe2\x82\xac \xf0\x9f\x98\x80");
    for (const std::string bad : {"\xff", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
        out.clear();
        append_json_text(out, bad);
        EXPECT_TRUE(out.starts_with("\\ufffd")) << out;
    }
}

}  // namespace
}  // namespace havn::gateway
