#include "gateway/core/http1/forward.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace havn::gateway {
namespace {

// What an upstream gets for `request`.
std::string upstream_head(const std::string& request, bool trusted = false) {
    std::vector<http1::Header> storage(30);
    http1::RequestHead head;
    EXPECT_EQ(http1::parse_request_head(request, storage, head).progress, http1::Progress::complete)
        << request;
    const auto facts = http1::inspect(head);
    EXPECT_TRUE(facts.has_value()) << request;
    std::vector<char> out(4096);
    http1::SpanWriter writer(out);
    EXPECT_TRUE(write_upstream_head(writer, {.head = head,
                                             .facts = *facts,
                                             .raw = request,
                                             .client = "1.2.3.4",
                                             .trusted = trusted,
                                             .authority = "10.0.0.1:80",
                                             .request_id = "ID"}));
    return std::string(writer.text());
}

std::string client_head(const std::string& response, ForwardedResponse options) {
    std::vector<http1::Header> storage(30);
    http1::ResponseHead head;
    EXPECT_EQ(http1::parse_response_head(response, storage, head).progress, http1::Progress::complete);
    const auto facts = http1::inspect(head, options.method);
    EXPECT_TRUE(facts.has_value()) << response;
    std::vector<char> out(4096);
    http1::SpanWriter writer(out);
    EXPECT_TRUE(write_client_head(writer, {.head = head,
                                           .facts = *facts,
                                           .raw = response,
                                           .method = options.method,
                                           .chunked = options.chunked,
                                           .close = options.close,
                                           .keep_alive_1_0 = options.keep_alive_1_0,
                                           .request_id = options.request_id}));
    return std::string(writer.text());
}

const std::string own =
    "X-Real-IP: 1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: http\r\n"
    "X-Forwarded-Host: h\r\nVia: 1.1 havn\r\nX-Request-Id: ID\r\n\r\n";

TEST(UpstreamHead, keeps_order_and_bytes_of_what_passes) {
    EXPECT_EQ(upstream_head("GET //a/%2F?b HTTP/1.1\r\nHost: h\r\nB:  x \r\nA: 1\r\nB: 2\r\n\r\n"),
              "GET //a/%2F?b HTTP/1.1\r\nHost: h\r\nB:  x \r\nA: 1\r\nB: 2\r\n" + own);
}

TEST(UpstreamHead, leaves_out_what_belongs_to_the_hop) {
    EXPECT_EQ(
        upstream_head("GET / HTTP/1.1\r\nConnection: close, x-one, content-length\r\nX-One: 1\r\nHost: h\r\n"
                      "Keep-Alive: 1\r\nProxy-Connection: 1\r\nTE: trailers\r\nUpgrade: a\r\nTrailer: b\r\n"
                      "Content-Length: 3\r\nx_y: 1\r\nExpect: 100-continue\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n" + own);
}

TEST(UpstreamHead, says_anew_how_the_body_is_framed) {
    EXPECT_EQ(upstream_head("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"),
              "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" + own);
}

TEST(UpstreamHead, replaces_what_a_stranger_says_about_others_and_extends_what_a_friend_says) {
    const std::string request =
        "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 8.8.8.8\r\n"
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: o\r\nForwarded: x\r\n\r\n";
    EXPECT_EQ(upstream_head(request), "GET / HTTP/1.1\r\nHost: h\r\n" + own);
    EXPECT_EQ(upstream_head(request, true),
              "GET / HTTP/1.1\r\nHost: h\r\nForwarded: x\r\nX-Real-IP: 8.8.8.8\r\n"
              "X-Forwarded-For: 9.9.9.9, 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: o\r\n"
              "Via: 1.1 havn\r\nX-Request-Id: ID\r\n\r\n");
}

TEST(UpstreamHead, carries_one_request_id_the_one_that_is_logged) {
    EXPECT_EQ(upstream_head("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\r\nx-request-ID: b\r\n"
                            "Connection: x-request-id\r\n\r\n"),
              "GET / HTTP/1.1\r\nHost: h\r\n" + own);
}

TEST(UpstreamHead, writes_host_anew_for_absolute_targets_and_supplies_a_missing_one) {
    EXPECT_TRUE(upstream_head("GET http://o:1/p HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n")
                    .starts_with("GET /p HTTP/1.1\r\nHost: o:1\r\nA: b\r\nX-Real-IP"));
    EXPECT_TRUE(
        upstream_head("GET /p HTTP/1.0\r\n\r\n").starts_with("GET /p HTTP/1.1\r\nHost: 10.0.0.1:80\r\n"));
}

TEST(UpstreamHead, connection_takes_neither_our_fields_nor_the_framing_away) {
    EXPECT_EQ(
        upstream_head("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: host, content-length,"
                      " x-real-ip, x-forwarded-for, via, x-request-id\r\n\r\n"),
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n" + own);
}

TEST(UpstreamHead, counts_max_forwards_down_for_options) {
    EXPECT_NE(
        upstream_head("OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 5\r\n\r\n").find("Max-Forwards: 4\r\n"),
        std::string::npos);
}

TEST(UpstreamHead, does_not_fit_where_there_is_no_room) {
    const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    std::vector<http1::Header> storage(3);
    http1::RequestHead head;
    http1::parse_request_head(request, storage, head);
    const auto facts = http1::inspect(head);
    std::vector<char> out(60);
    http1::SpanWriter writer(out);
    EXPECT_FALSE(write_upstream_head(writer, {.head = head, .facts = *facts, .raw = request, .client = {}}));
}

TEST(ClientHead, passes_on_what_is_end_to_end) {
    EXPECT_EQ(
        client_head("HTTP/1.0 200 Fine\r\nConnection: x, close\r\nX: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
                    "Keep-Alive: 3\r\nContent-Length: 3\r\n\r\n",
                    {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get}),
        "HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 3\r\n\r\n");
}

TEST(ClientHead, of_an_interim_response_is_no_other) {
    EXPECT_EQ(client_head("HTTP/1.1 103 Early Hints\r\nConnection: x-one, close\r\nX-One: 1\r\nLink: </a>\r\n"
                          "Keep-Alive: 3\r\nContent-Length: 3\r\n\r\n",
                          {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get}),
              "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

TEST(ClientHead, says_how_the_connection_goes_on) {
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n";
    EXPECT_EQ(
        client_head(chunked,
                    {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get, .chunked = true}),
        "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(client_head(chunked,
                          {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get, .close = true}),
              "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n");
}

TEST(ClientHead, has_no_length_where_there_is_no_body) {
    EXPECT_EQ(client_head("HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n",
                          {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get}),
              "HTTP/1.1 204 No\r\n\r\n");
    EXPECT_EQ(client_head("HTTP/1.1 205 R\r\nContent-Length: 3\r\n\r\n",
                          {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get}),
              "HTTP/1.1 205 R\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(client_head("HTTP/1.1 304 N\r\nContent-Length: 3\r\n\r\n",
                          {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get}),
              "HTTP/1.1 304 N\r\nContent-Length: 3\r\n\r\n");
}

TEST(ClientHead, has_one_length_where_the_upstream_repeated_it) {
    EXPECT_EQ(client_head("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\nContent-Length: 3, 3\r\n\r\n",
                          {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get}),
              "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(client_head("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
                          {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::head}),
              "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
}

TEST(ClientHead, of_426_says_what_to_upgrade_to) {
    const std::string response =
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: a/1\r\nConnection: upgrade\r\nUpgrade: b\r\n"
        "Content-Length: 0\r\n\r\n";
    EXPECT_EQ(client_head(response, {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get}),
              "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: a/1\r\nUpgrade: b\r\n"
              "Connection: Upgrade\r\n\r\n");
    EXPECT_TRUE(client_head(response,
                            {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get, .close = true})
                    .ends_with("Connection: Upgrade, close\r\n\r\n"));
}

TEST(ClientHead, carries_the_request_id_in_place_of_the_upstreams) {
    EXPECT_EQ(
        client_head("HTTP/1.1 200 OK\r\nX-Request-Id: other\r\nContent-Length: 0\r\n\r\n",
                    {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get, .request_id = "ID"}),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Request-Id: ID\r\n\r\n");
}

TEST(ClientHead, of_a_careless_upstream_is_written_cleanly) {
    EXPECT_EQ(client_head("HTTP/1.1 200 OK\nA : b\nConnection: close\nContent-Length: 0\n\n",
                          {.head = {}, .facts = {}, .raw = {}, .method = http1::Method::get}),
              "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\n\r\n");
}

}  // namespace
}  // namespace havn::gateway
