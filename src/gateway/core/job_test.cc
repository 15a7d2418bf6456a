#include "gateway/core/job.h"

#include <gtest/gtest.h>

namespace havn::gateway {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

Headers headers_of(const std::string& lines, std::vector<std::string> wanted, bool trusted = false,
                   std::string_view id = "ID") {
    const std::string text = "POST /buy?a=1 HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n";
    std::vector<http1::Header> storage(20);
    http1::RequestHead head;
    EXPECT_EQ(http1::parse_request_head(text, storage, head).progress, http1::Progress::complete);
    const auto facts = http1::inspect(head);
    EXPECT_TRUE(facts.has_value());
    Route route;
    route.headers = std::move(wanted);
    return job_headers({.head = head,
                        .facts = *facts,
                        .route = route,
                        .client = "1.2.3.4",
                        .trusted = trusted,
                        .request_id = id});
}

Headers with(Headers more, std::string forwarded = "1.2.3.4",
             std::pair<std::string, std::string> id = {"x-request-id", "ID"}) {
    Headers headers{
        {"method", "POST"}, {"path", "/buy"}, {"query", "a=1"}, {"x-forwarded-for", std::move(forwarded)}};
    headers.push_back(std::move(id));
    headers.insert(headers.end(), more.begin(), more.end());
    return headers;
}

TEST(JobHeaders, lines_of_one_field_become_one_entry) {
    EXPECT_EQ(headers_of("X-Tag: a\r\nCookie: c=1\r\nx-tag: b\r\nCookie: d=2\r\n",
                         {"X-Tag", "Cookie", "X-None", "x-TAG"}),
              with({{"X-Tag", "a, b"}, {"Cookie", "c=1; d=2"}}));
}

TEST(JobHeaders, no_client_takes_the_place_of_ours) {
    EXPECT_EQ(headers_of("Method: DELETE\r\nPath: /x\r\nX-Forwarded-For: 9.9.9.9\r\n",
                         {"Method", "path", "X-Forwarded-For"}),
              with({}));
}

TEST(JobHeaders, a_trusted_proxy_is_believed_and_a_request_id_carried) {
    EXPECT_EQ(headers_of("X-Forwarded-For: 9.9.9.9\r\nX-Request-Id: r\r\n", {"X-Request-Id"}, true, "r"),
              with({}, "9.9.9.9, 1.2.3.4", {"X-Request-Id", "r"}));
}

}  // namespace
}  // namespace havn::gateway
