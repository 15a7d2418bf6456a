#include "wire/http1/head.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/http1/characters.h"
#include "wire/http1/write.h"

namespace havn::http1 {
namespace {

using namespace std::string_literals;

TEST(RequestHead, is_read_with_views_into_the_input) {
    const std::string input =
        "POST /buy?x=1%2F HTTP/1.1\r\nHost: shop\r\nX-Odd:  a b\t \r\nEmpty:\r\n\r\nBODY";
    std::vector<Header> storage(10);
    RequestHead head;
    const Parsed parsed = parse_request_head(input, storage, head);
    ASSERT_EQ(parsed.progress, Progress::complete);
    EXPECT_EQ(parsed.bytes, input.size() - 4);
    EXPECT_EQ(head.method, Method::post);
    EXPECT_EQ(head.target, "/buy?x=1%2F");
    EXPECT_EQ(head.minor, 1);
    ASSERT_EQ(head.headers.size(), 3u);
    EXPECT_EQ(head.headers[0].field, Field::host);
    EXPECT_EQ(head.headers[1].name, "X-Odd");
    EXPECT_EQ(head.headers[1].value, "a b");
    EXPECT_EQ(head.headers[2].value, "");
    EXPECT_EQ(head.headers[2].name.data(), input.data() + input.find("Empty"));
}

TEST(RequestHead, needs_more_at_every_cut_and_never_reads_past_it) {
    const std::string input = "\r\nGET / HTTP/1.1\r\nHost: a-rather-long-host-name.example\r\nA: b\r\n\r\n";
    std::vector<Header> storage(10);
    for (std::size_t size = 0; size < input.size(); ++size) {
        const std::string cut = input.substr(0, size);  // its own allocation: a read past it is seen by ASan
        RequestHead head;
        EXPECT_EQ(parse_request_head(std::string_view(cut.data(), size), storage, head).progress,
                  Progress::need_more)
            << size;
    }
    RequestHead head;
    EXPECT_EQ(parse_request_head(input, storage, head).progress, Progress::complete);
}

TEST(RequestHead, that_is_not_complete_tells_what_was_read) {
    std::vector<Header> storage(4);
    for (const std::string input :
         {"PUT /x HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", "PUT /x HTTP/1.1\r\nHost: h\r\nA"}) {
        RequestHead head;
        EXPECT_NE(parse_request_head(input, storage, head).progress, Progress::complete);
        EXPECT_EQ(head.method_text, "PUT");
        EXPECT_EQ(head.target, "/x");
        ASSERT_EQ(head.headers.size(), 1u);
        EXPECT_EQ(head.headers[0].value, "h");
    }
}

struct BadHead {
    std::string bytes;
    Rule rule;
};

class MalformedRequest : public testing::TestWithParam<BadHead> {};

TEST_P(MalformedRequest, is_refused_with_its_rule) {
    std::vector<Header> storage(4);
    RequestHead head;
    const Parsed parsed = parse_request_head(GetParam().bytes, storage, head);
    EXPECT_EQ(parsed.progress, Progress::malformed) << testing::PrintToString(GetParam().bytes);
    EXPECT_EQ(row(parsed.rule).text, row(GetParam().rule).text) << testing::PrintToString(GetParam().bytes);
}

INSTANTIATE_TEST_SUITE_P(
    Table, MalformedRequest,
    testing::Values(
        BadHead{" GET / HTTP/1.1\r\n\r\n", Rule::request_line},
        BadHead{"GET  / HTTP/1.1\r\n\r\n", Rule::request_line},
        BadHead{"GET\t/ HTTP/1.1\r\n\r\n", Rule::request_line}, BadHead{"GET /\r\n\r\n", Rule::request_line},
        BadHead{"GET / HTTP/1.1 \r\n\r\n", Rule::request_line},
        BadHead{"GET /a b HTTP/1.1\r\n\r\n", Rule::request_line},
        BadHead{"GET /a#b HTTP/1.1\r\n\r\n", Rule::target},
        BadHead{"GET /a\x01 HTTP/1.1\r\n\r\n", Rule::target},
        BadHead{"GET /a\0b HTTP/1.1\r\n\r\n"s, Rule::target},
        BadHead{"GET /\tx HTTP/1.1\r\n\r\n", Rule::target},
        BadHead{"G(T / HTTP/1.1\r\n\r\n", Rule::request_line},
        BadHead{"GET / HTTP/2.0\r\n\r\n", Rule::version}, BadHead{"GET / HTTP/1.x\r\n\r\n", Rule::version},
        BadHead{"GET / http/1.1\r\n\r\n", Rule::request_line}, BadHead{"GET / HTTP/1.1\n\r\n", Rule::bare_lf},
        BadHead{"GET / HTTP/1.1\rX: y\r\n\r\n", Rule::bare_cr},
        BadHead{"\n\nGET / HTTP/1.1\r\n\r\n", Rule::request_line},
        BadHead{"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", Rule::bare_lf},
        BadHead{"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", Rule::bare_cr},
        BadHead{"GET / HTTP/1.1\r\nA: b\r\r\n\r\n", Rule::bare_cr},
        BadHead{"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Rule::obs_fold},
        BadHead{"GET / HTTP/1.1\r\n\tA: b\r\n\r\n", Rule::obs_fold},
        BadHead{"GET / HTTP/1.1\r\nA : b\r\n\r\n", Rule::space_before_colon},
        BadHead{"GET / HTTP/1.1\r\nContent-Length\t: 5\r\n\r\n", Rule::space_before_colon},
        BadHead{"GET / HTTP/1.1\r\n: b\r\n\r\n", Rule::header_name},
        BadHead{"GET / HTTP/1.1\r\nA\r\n\r\n", Rule::header_name},
        BadHead{"GET / HTTP/1.1\r\nA@b: c\r\n\r\n", Rule::header_name},
        BadHead{"GET / HTTP/1.1\r\n\x0bTransfer-Encoding: chunked\r\n\r\n", Rule::header_name},
        BadHead{"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n"s, Rule::header_value},
        BadHead{"GET / HTTP/1.1\r\nTransfer-Encoding: \x0b"
                "chunked\r\n\r\n",
                Rule::header_value},
        BadHead{"GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n", Rule::header_value},
        BadHead{"GET / HTTP/1.1\r\nA: a value that is longer than sixteen\x01 bytes\r\n\r\n",
                Rule::header_value},
        BadHead{"GET / HTTP/1.1\r\nA:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\n\r\n", Rule::header_count}));

TEST(ResponseHead, is_read) {
    std::vector<Header> storage(4);
    ResponseHead head;
    const std::string input = "HTTP/1.0 404 Not there\r\nContent-Length: 3\r\n\r\nabc";
    const Parsed parsed = parse_response_head(input, storage, head);
    ASSERT_EQ(parsed.progress, Progress::complete);
    EXPECT_EQ(parsed.bytes, input.size() - 3);
    EXPECT_EQ(head.status, 404);
    EXPECT_EQ(head.reason, "Not there");
    EXPECT_EQ(head.minor, 0);
    EXPECT_TRUE(head.canonical);
}

TEST(ResponseHead, of_a_careless_upstream_is_read_but_not_canonical) {
    std::vector<Header> storage(4);
    for (const std::string input : {"HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n"}) {
        ResponseHead head;
        ASSERT_EQ(parse_response_head(input, storage, head).progress, Progress::complete);
        EXPECT_FALSE(head.canonical);
        EXPECT_EQ(head.headers[0].name, "A");
        EXPECT_EQ(head.headers[0].value, "b");
    }
}

TEST(ResponseHead, without_a_reason_is_read) {
    std::vector<Header> storage(4);
    for (const std::string input : {"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n"}) {
        ResponseHead head;
        EXPECT_EQ(parse_response_head(input, storage, head).progress, Progress::complete);
        EXPECT_EQ(head.reason, "");
    }
}

TEST(ResponseHead, of_any_three_digits_from_100_is_read) {
    std::vector<Header> storage(4);
    for (const unsigned status : {100u, 599u, 600u, 999u}) {
        ResponseHead head;
        const std::string text = "HTTP/1.1 " + std::to_string(status) + " x\r\n\r\n";
        ASSERT_EQ(parse_response_head(text, storage, head).progress, Progress::complete) << status;
        EXPECT_EQ(head.status, status);
    }
}

TEST(ResponseHead, malformed_ones_are_refused) {
    const std::vector<BadHead> table{{"HTP/1.1 200 OK\r\n\r\n", Rule::status_line},
                                     {"HTTP/1.1 20 OK\r\n\r\n", Rule::status_line},
                                     {"HTTP/1.1 2000\r\n\r\n", Rule::status_line},
                                     {"HTTP/1.1 099 x\r\n\r\n", Rule::status_line},
                                     {"HTTP/1.1  200 OK\r\n\r\n", Rule::status_line},
                                     {"HTTP/3.0 200 OK\r\n\r\n", Rule::version},
                                     {"HTTP/1.1 200 OK\r\nA: b\r\n fold\r\n\r\n", Rule::obs_fold},
                                     {"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", Rule::bare_cr},
                                     {"HTTP/1.1 200 O\0K\r\n\r\n"s, Rule::status_line}};
    std::vector<Header> storage(4);
    for (const BadHead& bad : table) {
        ResponseHead head;
        const Parsed parsed = parse_response_head(bad.bytes, storage, head);
        EXPECT_EQ(parsed.progress, Progress::malformed) << bad.bytes;
        EXPECT_EQ(row(parsed.rule).text, row(bad.rule).text) << bad.bytes;
    }
}

TEST(Head, what_is_written_reads_back_the_same) {
    std::string text;
    write_request_line(text, "PUT", "/a%20b?c");
    write_header(text, "Host", "h:1");
    write_header(text, "Content-Length", 12345678901u);
    write_head_end(text);
    std::vector<Header> storage(4);
    RequestHead head;
    ASSERT_EQ(parse_request_head(text, storage, head).progress, Progress::complete);
    EXPECT_EQ(head.method, Method::put);
    EXPECT_EQ(head.target, "/a%20b?c");
    EXPECT_EQ(head.headers[1].value, "12345678901");

    char small[10];
    SpanWriter writer(small);
    write_status_line(writer, 200);
    EXPECT_TRUE(writer.overflowed());
}

TEST(Tables, every_known_field_and_method_is_found_by_its_name) {
    for (std::size_t i = 1; i < fields.size(); ++i) {
        std::string name(fields[i].name);
        EXPECT_EQ(find_field(name), static_cast<Field>(i)) << name;
        name[0] = static_cast<char>(name[0] - 0x20);
        EXPECT_EQ(find_field(name), static_cast<Field>(i)) << name;
        EXPECT_EQ(find_field(name + "x"), Field::other) << name;
    }
    for (std::size_t i = 1; i < methods.size(); ++i) {
        EXPECT_EQ(find_method(methods[i].text), static_cast<Method>(i));
    }
    EXPECT_EQ(find_method("get"), Method::other);
}

TEST(Characters, the_scan_by_sixteens_agrees_with_the_table) {
    for (std::size_t size = 0; size < 40; ++size) {
        for (unsigned c = 0; c < 256; ++c) {
            for (std::size_t at = 0; at < size; at += 7) {
                std::string text(size, 'x');
                text[at] = static_cast<char>(c);
                const bool allowed = has(static_cast<char>(c), value_character);
                const char* const stop = skip_value(text.data(), text.data() + size);
                ASSERT_EQ(static_cast<std::size_t>(stop - text.data()), allowed ? size : at)
                    << c << " at " << at;
            }
        }
    }
}

}  // namespace
}  // namespace havn::http1
