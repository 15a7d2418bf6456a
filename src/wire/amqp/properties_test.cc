#include "wire/amqp/properties.h"

#include <gtest/gtest.h>

#include "wire/amqp/bytes.h"
#include "wire/amqp/table.h"

namespace havn::amqp {
namespace {

Properties all_fourteen(const Table& headers) {
    Properties p;
    p.flags = 0xFFFC;
    p.content_type = "application/json";
    p.content_encoding = "utf-8";
    p.headers = headers;
    p.delivery_mode = 2;
    p.priority = 9;
    p.correlation_id = "correlation";
    p.reply_to = "reply";
    p.expiration = "60000";
    p.message_id = "id";
    p.timestamp = 1'700'000'000;
    p.type = "type";
    p.user_id = "guest";
    p.app_id = "app";
    p.cluster_id = "cluster";
    return p;
}

TEST(Properties, all_fourteen_come_back_as_they_went) {
    TableWriter headers;
    headers.text("key", "value");
    const Properties properties = all_fourteen(headers.table());
    std::string bytes;
    append_properties(bytes, properties);
    EXPECT_EQ(parse_properties(bytes), properties);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_EQ(parse_properties(std::string_view(bytes).substr(0, size)), std::nullopt) << size;
    }
    EXPECT_EQ(parse_properties(bytes + "x"), std::nullopt);
}

TEST(Properties, each_alone_comes_back_as_it_went) {
    TableWriter headers;
    headers.integer("n", 1);
    for (unsigned bit = 2; bit < 16; ++bit) {
        Properties properties = all_fourteen(headers.table());
        properties.flags = static_cast<std::uint16_t>(1u << bit);
        std::string bytes, again;
        append_properties(bytes, properties);
        const auto parsed = parse_properties(bytes);
        ASSERT_TRUE(parsed) << bit;
        EXPECT_EQ(parsed->flags, properties.flags);
        append_properties(again, *parsed);
        EXPECT_EQ(again, bytes);
    }
}

TEST(Properties, absent_ones_read_as_nothing) {
    const auto properties = parse_properties(std::string_view("\0\0", 2));
    ASSERT_TRUE(properties);
    EXPECT_EQ(*properties, Properties{});
    EXPECT_FALSE(properties->persistent());
}

TEST(Properties, flags_that_mean_nothing_are_refused) {
    EXPECT_EQ(parse_properties(std::string_view("\0\x01", 2)), std::nullopt);
    EXPECT_EQ(parse_properties(std::string_view("\0\x02", 2)), std::nullopt);
}

TEST(Properties, with_broken_headers_are_refused) {
    EXPECT_EQ(parse_properties(std::string_view("\x20\0\0\0\0\x03\x01k?", 9)), std::nullopt);
}

TEST(AContentHeader, names_class_size_and_properties) {
    const auto header = parse_content_header(std::string_view("\0\x3c\0\0\0\0\0\0\0\0\1\0\0\0", 14));
    ASSERT_TRUE(header);
    EXPECT_EQ(header->class_id, basic_class);
    EXPECT_EQ(header->body_size, 256u);
    EXPECT_EQ(header->properties.size(), 2u);
    EXPECT_FALSE(parse_content_header("too short"));
}

}  // namespace
}  // namespace havn::amqp
