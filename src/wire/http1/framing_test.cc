#include "wire/http1/framing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace havn::http1 {
namespace {

class Framed : public testing::Test {
  protected:
    std::expected<RequestFacts, Rule> request(const std::string& text) {
        input = text;
        RequestHead head;
        const Parsed parsed = parse_request_head(input, storage, head);
        EXPECT_EQ(parsed.progress, Progress::complete) << text;
        return inspect(head);
    }
    std::expected<RequestFacts, Rule> post(const std::string& lines) {
        return request("POST / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n");
    }
    std::expected<ResponseFacts, Rule> response(const std::string& text, Method method = Method::get) {
        input = text;
        ResponseHead head;
        const Parsed parsed = parse_response_head(input, storage, head);
        EXPECT_EQ(parsed.progress, Progress::complete) << text;
        return inspect(head, method);
    }

    std::string input;
    std::vector<Header> storage{20};
};

TEST_F(Framed, a_request_ends_where_its_only_framing_field_says) {
    EXPECT_EQ(post("")->body.kind, Framing::Kind::none);
    EXPECT_EQ(post("Content-Length: 0\r\n")->body.kind, Framing::Kind::none);
    EXPECT_EQ(post("Content-Length: 42\r\n")->body, (Framing{Framing::Kind::length, 42}));
    EXPECT_EQ(post("Content-Length: 9223372036854775807\r\n")->body.length, 9223372036854775807u);
    EXPECT_EQ(post("Transfer-Encoding: chunked\r\n")->body.kind, Framing::Kind::chunked);
    EXPECT_EQ(post("transfer-encoding: CHUNKED\r\n")->body.kind, Framing::Kind::chunked);
}

TEST_F(Framed, whatever_could_be_read_in_two_ways_is_refused) {
    const std::vector<std::pair<std::string, Rule>> table{
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Rule::length_and_coding},
        {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Rule::length_and_coding},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", Rule::length_repeated},
        {"Content-Length: 5\r\nContent-Length: 6\r\n", Rule::length_repeated},
        {"Content-Length: 5, 5\r\n", Rule::length_invalid},
        {"Content-Length: +5\r\n", Rule::length_invalid},
        {"Content-Length: -5\r\n", Rule::length_invalid},
        {"Content-Length: 0x10\r\n", Rule::length_invalid},
        {"Content-Length: 1_0\r\n", Rule::length_invalid},
        {"Content-Length: 1 0\r\n", Rule::length_invalid},
        {"Content-Length: 5;\r\n", Rule::length_invalid},
        {"Content-Length:\r\n", Rule::length_invalid},
        {"Content-Length: 9223372036854775808\r\n", Rule::length_invalid},
        {"Content-Length: 99999999999999999999\r\n", Rule::length_invalid},
        {"Transfer-Encoding: chunked, chunked\r\n", Rule::coding_invalid},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Rule::coding_invalid},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Rule::coding_invalid},
        {"Transfer-Encoding: chunked;x\r\n", Rule::coding_invalid},
        {"Transfer-Encoding: xchunked\r\n", Rule::coding_invalid},
        {"Transfer-Encoding: chunked, gzip\r\n", Rule::coding_invalid},
        {"Transfer-Encoding: identity\r\n", Rule::coding_invalid},
        {"Transfer-Encoding: ,chunked\r\n", Rule::coding_unknown},
        {"Transfer-Encoding: \"chunked\"\r\n", Rule::coding_invalid},
        {"Transfer-Encoding:\r\n", Rule::coding_invalid},
        {"Transfer-Encoding: gzip, chunked\r\n", Rule::coding_unknown},
        {"Host: h\r\n", Rule::host_repeated},
    };
    for (const auto& [lines, rule] : table) {
        const std::expected<RequestFacts, Rule> facts = post(lines);
        ASSERT_FALSE(facts.has_value()) << lines;
        EXPECT_EQ(row(facts.error()).text, row(rule).text) << lines;
    }
    EXPECT_EQ(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").error(), Rule::coding_in_1_0);
}

TEST_F(Framed, a_host_is_needed_in_1_1_and_must_be_one) {
    EXPECT_EQ(request("GET / HTTP/1.1\r\n\r\n").error(), Rule::host_missing);
    EXPECT_TRUE(request("GET / HTTP/1.0\r\n\r\n").has_value());
    for (const std::string good : {"h", "h:80", "h:", "[::1]:8080", "127.0.0.1", "a-b.c_d"}) {
        EXPECT_TRUE(request("GET / HTTP/1.1\r\nHost: " + good + "\r\n\r\n").has_value()) << good;
    }
    const std::string longest(255, 'a');
    EXPECT_TRUE(request("GET / HTTP/1.1\r\nHost: " + longest + ":65535\r\n\r\n").has_value());
    EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: " + longest + "a\r\n\r\n").error(), Rule::host_invalid);
    EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: [" + std::string(260, ':') + "]\r\n\r\n").error(),
              Rule::host_invalid);
    for (const std::string bad :
         {"", "u@h", "a b", "a,b", "h:8x", "h:123456", "[::1", "[g]", "a/b", ":80", "%68"}) {
        EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: " + bad + "\r\n\r\n").error(), Rule::host_invalid) << bad;
    }
}

TEST_F(Framed, the_target_gives_path_and_host) {
    EXPECT_EQ(request("GET //a/../b%2f?q HTTP/1.1\r\nHost: h\r\n\r\n")->path, "//a/../b%2f?q");
    const RequestFacts absolute = request("GET HTTP://other:8/p?q HTTP/1.1\r\nHost: h\r\n\r\n").value();
    EXPECT_EQ(absolute.path, "/p?q");
    EXPECT_EQ(absolute.host, "other:8");
    EXPECT_TRUE(absolute.absolute);
    EXPECT_EQ(request("GET http://other HTTP/1.1\r\nHost: h\r\n\r\n")->path, "/");
    EXPECT_EQ(request("OPTIONS http://other HTTP/1.1\r\nHost: h\r\n\r\n")->path, "*");
    EXPECT_EQ(request("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")->path, "*");
    EXPECT_EQ(request("GET * HTTP/1.1\r\nHost: h\r\n\r\n").error(), Rule::target);
    EXPECT_EQ(request("GET path HTTP/1.1\r\nHost: h\r\n\r\n").error(), Rule::target);
    EXPECT_EQ(request("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n").error(), Rule::target);
    EXPECT_EQ(request("GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n").error(), Rule::host_invalid);
}

TEST_F(Framed, a_connection_stays_when_version_and_tokens_say_so) {
    EXPECT_TRUE(post("")->keep_alive);
    EXPECT_FALSE(post("Connection: x, CLOSE\r\n")->keep_alive);
    EXPECT_TRUE(post("Connection: x\r\n")->nominated.contains("X"));
    EXPECT_EQ(post("Connection: keep-alive, TE\r\n")->nominated.count, 0);
    EXPECT_FALSE(request("GET / HTTP/1.0\r\n\r\n")->keep_alive);
    EXPECT_TRUE(request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")->keep_alive);
    EXPECT_EQ(post("Connection: Upgrade\r\nUpgrade: websocket\r\n")->upgrade, "websocket");
    EXPECT_EQ(post("Upgrade: websocket\r\n")->upgrade, "");
    EXPECT_EQ(request("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")->upgrade, "");
}

TEST_F(Framed, the_authority_cannot_be_read_in_two_ways) {
    for (const std::string target :
         {"http://a@b/", "http://a:b@c/", "http://a\\b/", "http://a%2fb/", "http:///x", "http://a?b",
          "http://?", "http://a:80:80/", "http://[::1/", "http://[::1]x/", "http://a,b/", "http:/a",
          "//a@b:x", "https://", "http://a;b:/%"}) {
        const std::expected<RequestFacts, Rule> facts =
            request("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
        // What stands behind "//" is a path, and ';' a character of a name; the rest is refused.
        const bool harmless = target.starts_with("//") || target.contains(';');
        EXPECT_EQ(facts.has_value(), harmless) << target;
        if (target.starts_with("//")) EXPECT_EQ(facts->host, "h");
    }
    // The target's host is the one that counts, whatever Host says; but Host must be one.
    EXPECT_EQ(request("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n")->host, "a");
    EXPECT_FALSE(request("GET http://a/ HTTP/1.1\r\nHost: b@c\r\n\r\n"));
    EXPECT_FALSE(request("GET http://a/ HTTP/1.1\r\n\r\n"));
}

TEST_F(Framed, connection_cannot_take_the_framing_away) {
    for (const std::string field : {"Content-Length", "Transfer-Encoding", "Host"}) {
        const RequestFacts facts = post("Connection: " + field + "\r\nContent-Length: 5\r\n").value();
        EXPECT_EQ(facts.body, (Framing{Framing::Kind::length, 5})) << field;
    }
}

TEST_F(Framed, expectations_of_a_1_0_client_are_ignored) {
    EXPECT_TRUE(post("Expect: 100-Continue\r\n")->expects_continue);
    EXPECT_TRUE(post("Expect: tea\r\n")->expects_other);
    const RequestFacts old = request("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").value();
    EXPECT_FALSE(old.expects_continue || old.expects_other);
}

TEST_F(Framed, a_response_ends_by_status_then_field_then_close) {
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    EXPECT_EQ(response(ok + "Content-Length: 3\r\n\r\n")->body, (Framing{Framing::Kind::length, 3}));
    EXPECT_EQ(response(ok + "Content-Length: 0\r\n\r\n")->body, (Framing{Framing::Kind::length, 0}));
    EXPECT_EQ(response(ok + "Transfer-Encoding: chunked\r\n\r\n")->body.kind, Framing::Kind::chunked);
    EXPECT_EQ(response(ok + "\r\n")->body.kind, Framing::Kind::until_close);
    EXPECT_FALSE(response(ok + "\r\n")->keep_alive);
    EXPECT_EQ(response(ok + "Content-Length: 3\r\n\r\n", Method::head)->body.kind, Framing::Kind::none);
    for (const std::string status : {"100", "101", "103", "204", "304"}) {
        EXPECT_EQ(response("HTTP/1.1 " + status + " x\r\nContent-Length: 3\r\n\r\n")->body.kind,
                  Framing::Kind::none);
    }
    EXPECT_FALSE(response("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n")->keep_alive);
    EXPECT_TRUE(
        response("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n")->keep_alive);
}

TEST_F(Framed, an_ambiguous_response_is_refused) {
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    for (const std::string lines : {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                                    "Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
                                    "Content-Length: x\r\n\r\n", "Transfer-Encoding: gzip\r\n\r\n"}) {
        EXPECT_FALSE(response(ok + lines).has_value()) << lines;
    }
    EXPECT_EQ(response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").error(), Rule::coding_in_1_0);
}

TEST_F(Framed, nominations_are_found_in_any_connection_line) {
    const RequestFacts facts = post("Connection: a, close\r\nConnection: B , c, Keep-Alive, TE\r\n").value();
    EXPECT_EQ(facts.nominated.count, 3);
    EXPECT_TRUE(facts.nominated.contains("b"));
    EXPECT_FALSE(facts.nominated.contains("d"));
    EXPECT_FALSE(facts.nominated.contains("te"));
}

TEST_F(Framed, connection_has_sixteen_options_and_no_more) {
    std::string options = "close";
    for (int i = 1; i < 16; ++i) options += ",x" + std::to_string(i);
    EXPECT_EQ(post("Connection: " + options + "\r\n")->nominated.count, 15);
    EXPECT_EQ(post("Connection: " + options + ", y\r\n").error(), Rule::connection_options);
    EXPECT_EQ(post("Connection: " + options + "\r\nConnection: close\r\n").error(), Rule::connection_options);
    EXPECT_EQ(response("HTTP/1.1 204 x\r\nConnection: " + options + ", y\r\n\r\n").error(),
              Rule::connection_options);
    std::string many;
    for (int i = 0; i < 7'800; ++i) many += "a,";
    EXPECT_EQ(post("Connection: " + many + "\r\n").error(), Rule::connection_options);
}

TEST_F(Framed, one_length_repeated_is_one_length_of_a_response) {
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    for (const std::string lines :
         {"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "Content-Length: 5, 5\r\n\r\n",
          "Content-Length: 5 ,5,\t05\r\nContent-Length: 5\r\n\r\n"}) {
        const std::expected<ResponseFacts, Rule> facts = response(ok + lines);
        ASSERT_TRUE(facts) << lines;
        EXPECT_EQ(facts->body, (Framing{Framing::Kind::length, 5})) << lines;
        EXPECT_EQ(facts->folded_length, 5u) << lines;
        EXPECT_EQ(response(ok + lines, Method::head)->folded_length, 5u) << lines;
    }
    EXPECT_FALSE(response(ok + "Content-Length: 5\r\n\r\n")->folded_length);
    for (const std::string lines :
         {"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "Content-Length: 5, 6\r\n\r\n",
          "Content-Length: 5,\r\n\r\n", "Content-Length: ,5\r\n\r\n", "Content-Length: 5, x\r\n\r\n",
          "Content-Length: x\r\nContent-Length: 5\r\n\r\n", "Content-Length: 5\r\nContent-Length:\r\n\r\n",
          "Content-Length: 5 5\r\n\r\n", "Content-Length: 5, -5\r\n\r\n"}) {
        EXPECT_FALSE(response(ok + lines)) << lines;
        EXPECT_FALSE(response(ok + lines, Method::head)) << lines;
    }
}

}  // namespace
}  // namespace havn::http1
