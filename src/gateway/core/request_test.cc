#include "gateway/core/request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace havn::gateway {
namespace {

TEST(RequestId, is_the_clients_when_it_is_one_and_fit_for_log_and_headers) {
    const auto brought = [](std::vector<std::string_view> values) {
        std::vector<http1::Header> headers{{"Host", "h", http1::Field::host}};
        for (const std::string_view value : values) {
            headers.push_back({"X-Request-Id", value, http1::Field::x_request_id});
        }
        return std::string(brought_request_id(headers));
    };
    const std::string longest(128, 'x'), longer(129, 'x');
    for (const std::string_view good : {"a", "018bcfe5-6800-7000-8000-000000000000", "Qk9=/+x", "a.b_c~1",
                                        std::string_view(longest).data()}) {
        EXPECT_EQ(brought({good}), good);
    }
    for (const std::string_view bad : {"", "a b", "a\tb", "\"", "a\"b", "a\\b", "a,b", "{}", "<x>",
                                       "\xc3\xa9", std::string_view(longer).data()}) {
        EXPECT_EQ(brought({bad}), "") << bad;
    }
    EXPECT_EQ(brought({}), "");
    EXPECT_EQ(brought({"a", "a"}), "");
}

TEST(Via, our_own_name_is_counted) {
    const std::vector<http1::Header> headers{{"Via", "1.1 havn, 1.0 other", http1::Field::via},
                                             {"Via", "1.1 havn", http1::Field::via},
                                             {"X", "1.1 havn", http1::Field::other}};
    EXPECT_EQ(times_seen(headers), 2u);
}

TEST(EventStream, is_known_by_its_type_alone) {
    const auto is_one = [](std::string_view type) {
        const http1::Header header{
            .name = "Content-Type", .value = type, .field = http1::Field::content_type};
        return is_event_stream({.status = 200, .reason = {}, .headers = {&header, 1}});
    };
    EXPECT_TRUE(is_one("text/event-stream"));
    EXPECT_TRUE(is_one("Text/Event-Stream ; charset=utf-8"));
    EXPECT_FALSE(is_one("text/event-streams"));
    EXPECT_FALSE(is_one(""));
}

}  // namespace
}  // namespace havn::gateway
