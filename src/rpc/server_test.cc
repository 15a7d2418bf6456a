#include "rpc/server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "base/text/percent.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/net.h"
#include "rpc/client.h"

namespace havn::rpc {

namespace {

// A server on a loop of its own, for clients that block or share the loop.
class RpcTest : public testing::Test {
  protected:
    RpcTest() : server_(loop_.executor(), {.body_bytes_max = 1u << 20}) {
        std::string pattern = testing::TempDir() + "rpc.XXXXXX";
        path_ = std::string(::mkdtemp(pattern.data())) + "/s";
        server_.route("GET", "/v1/hello/{name}",
                      [this](Request request) { return hello(std::move(request)); });
        server_.route("POST", "/v1/size", [this](Request request) { return size(std::move(request)); });
        server_.route("GET", "/v1/error", [this](Request request) { return refuse(std::move(request)); });
        server_.route("GET", "/v1/count", [this](Request request) { return count(std::move(request)); });
        EXPECT_TRUE(server_.listen(path_));
    }

    Task<Response> hello(Request request) {
        co_return json({{"hello", request.parameters["name"]}, {"loud", request.query_or("loud", "no")}});
    }
    Task<Response> size(Request request) { co_return json({{"size", request.body.size()}}); }
    Task<Response> large(Request) { co_return text(std::string(8u << 20, 'x'), "text/plain"); }
    Task<Response> refuse(Request) { co_return error({Error::Kind::conflict, "found 1", "type 2"}); }
    Task<Response> count(Request request) {
        const int lines = std::stoi(request.query_or("lines", "3"));
        Response response;
        response.stream = [this, lines](std::shared_ptr<Lines> out) {
            return write_lines(std::move(out), lines);
        };
        co_return response;
    }
    Task<void> write_lines(std::shared_ptr<Lines> out, int lines) {
        for (int i = 0; i < lines; ++i) {
            Result<> sent = co_await out->send({{"line", i}, {"filler", std::string(1000, 'x')}});
            if (!sent) co_return;
            ++lines_taken_;
        }
    }

    Task<bool> close_server() {
        co_await server_.close();  // returns only once every handler has ended
        co_return true;
    }

    // Runs the loop until the task has ended.
    template <class T>
    T run(Task<T> task) {
        std::optional<T> value;
        loop_.spawn(keep(std::move(task), value));
        loop_.run();
        loop_.context().restart();
        return std::move(*value);
    }
    template <class T>
    Task<void> keep(Task<T> task, std::optional<T>& value) {
        T result = co_await std::move(task);
        value.emplace(std::move(result));
        loop_.stop();
    }

    // Raw bytes out, everything until the server closes back.
    std::string exchange(std::string bytes) {
        std::string answer;
        std::thread client([&] {
            answer = talk(bytes);
            loop_.stop();
        });
        loop_.run();
        client.join();
        loop_.context().restart();
        return answer;
    }
    io::Fd connected() {
        io::Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        return socket;
    }
    std::string talk(const std::string& bytes) {
        const io::Fd socket = connected();
        for (std::size_t sent = 0; sent < bytes.size();) {
            const ssize_t size = ::send(socket.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (size <= 0) break;
            sent += static_cast<std::size_t>(size);
        }
        std::string answer;
        char buffer[4096];
        for (ssize_t size; (size = ::read(socket.get(), buffer, sizeof buffer)) > 0;) {
            answer.append(buffer, static_cast<std::size_t>(size));
        }
        return answer;
    }

    Client client() { return Client("unix:" + path_); }

    io::Loop loop_;
    Server server_;
    std::string path_;
    int lines_taken_ = 0;
};

TEST_F(RpcTest, a_pattern_gives_parameters_and_the_query_values_decoded) {
    Client client = this->client();
    const Result<Json> answer =
        run(client.request("GET", "/v1/hello/a%20b%2Fc?loud=%21", nullptr, seconds(5)));
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(*answer, (Json{{"hello", "a b/c"}, {"loud", "!"}}));
}

TEST_F(RpcTest, an_error_arrives_as_the_error_it_was) {
    Client client = this->client();
    const Result<Json> answer = run(client.request("GET", "/v1/error", nullptr, seconds(5)));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, Error::Kind::conflict);
    EXPECT_EQ(answer.error().message, "found 1");
    EXPECT_EQ(answer.error().remedy, "type 2");
}

TEST_F(RpcTest, an_unknown_path_is_not_found_and_a_wrong_method_says_which_is_right) {
    Client client = this->client();
    const Result<Json> unknown = run(client.request("GET", "/v2", nullptr, seconds(5)));
    EXPECT_EQ(unknown.error().kind, Error::Kind::not_found);
    EXPECT_TRUE(exchange("DELETE /v1/size HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                    .starts_with("HTTP/1.1 405 "));
}

TEST_F(RpcTest, a_large_body_within_the_limit_arrives_whole) {
    Client client = this->client();
    const Json body = std::string(900'000, 'x');
    const Result<Json> answer = run(client.request("POST", "/v1/size", body, seconds(5)));
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ((*answer)["size"], 900'002);
}

TEST_F(RpcTest, a_body_past_the_limit_is_refused_with_an_answer_that_arrives) {
    Client client = this->client();
    const Json body = std::string(8u << 20, 'x');
    const Result<Json> answer = run(client.request("POST", "/v1/size", body, seconds(5)));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, Error::Kind::invalid);
    EXPECT_NE(answer.error().message.find("1048576"), std::string::npos);
}

TEST_F(RpcTest, a_chunked_request_body_is_put_together) {
    const std::string answer = exchange(
        "POST /v1/size HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    EXPECT_TRUE(answer.ends_with("{\"size\":5}\n")) << answer;
}

TEST_F(RpcTest, who_expects_100_continue_gets_it) {
    const std::string answer = exchange(
        "POST /v1/size HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: "
        "2\r\n\r\nab");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")) << answer;
}

TEST_F(RpcTest, requests_on_one_connection_are_answered_in_order) {
    const std::string answer = exchange(
        "GET /v1/hello/a HTTP/1.1\r\nHost: h\r\n\r\nGET /v1/hello/b HTTP/1.1\r\nHost: h\r\nConnection: "
        "close\r\n\r\n");
    EXPECT_LT(answer.find("\"a\""), answer.find("\"b\""));
    EXPECT_NE(answer.find("\"b\""), std::string::npos);
}

TEST_F(RpcTest, what_is_no_http_is_refused_and_the_connection_closed) {
    for (const char* garbage :
         {"\x16\x03\x01 not http at all\r\n\r\n", "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
        const std::string answer = exchange(garbage);
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << garbage << answer;
        EXPECT_NE(answer.find("\"kind\":\"invalid\""), std::string::npos);
    }
}

TEST_F(RpcTest, a_head_without_end_is_refused) {
    const std::string answer = exchange("GET / HTTP/1.1\r\nX: " + std::string(200'000, 'x'));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
}

TEST_F(RpcTest, streamed_lines_arrive_one_by_one) {
    Client client = this->client();
    Result<LineReader> lines = run(client.stream("GET", "/v1/count?lines=3", nullptr, seconds(5)));
    ASSERT_TRUE(lines) << lines.error().text();
    for (int i = 0; i < 3; ++i) {
        const Result<std::optional<Json>> line = run(lines->next());
        ASSERT_TRUE(line && *line);
        EXPECT_EQ((**line)["line"], i);
    }
    const Result<std::optional<Json>> end = run(lines->next());
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);
}

TEST_F(RpcTest, a_client_that_does_not_read_holds_the_writer_back_and_one_that_leaves_ends_it) {
    Client client = this->client();
    {
        Result<LineReader> lines = run(client.stream("GET", "/v1/count?lines=1000000", nullptr, seconds(5)));
        ASSERT_TRUE(lines);
        for (int before = -1; before != lines_taken_;) {  // until nothing more is taken
            before = lines_taken_;
            loop_.context().poll();
            loop_.context().restart();
        }
        EXPECT_LT(lines_taken_, 10'000);
    }
    run(close_server());
    EXPECT_LT(lines_taken_, 10'000);
}

TEST_F(RpcTest, nobody_listening_is_unavailable) {
    Client client("unix:" + path_ + ".other");
    const Result<Json> answer = run(client.request("GET", "/", nullptr, seconds(1)));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, Error::Kind::unavailable);
}

TEST(RpcMessage, every_kind_of_error_survives_the_way_there_and_back) {
    for (const Error::Kind kind :
         {Error::Kind::invalid, Error::Kind::not_found, Error::Kind::conflict, Error::Kind::denied,
          Error::Kind::unavailable, Error::Kind::corrupt, Error::Kind::internal}) {
        const Error back = error_from(status_of(kind), to_json(Error{kind, "m", "r"}).dump());
        EXPECT_EQ(back.kind, kind);
        EXPECT_EQ(back.message, "m");
        EXPECT_EQ(back.remedy, "r");
    }
    EXPECT_EQ(error_from(503, "<html>").kind, Error::Kind::unavailable);
}

TEST(RpcMessage, encoding_and_decoding_are_inverse) {
    const std::string odd = "a b/ü?&=%+~";
    EXPECT_EQ(percent_decode(percent_encode(odd)), odd);
    EXPECT_EQ(percent_decode("100%"), "100%");
    EXPECT_EQ(percent_decode("%zz%4"), "%zz%4");
}

TEST_F(RpcTest, who_may_not_ask_is_told_who_may) {
    Client asking = client();
    server_.permit({0, 4711});
    const auto ask = [&] { return run(asking.request("GET", "/v1/hello/x", nullptr, seconds(5))); };
    EXPECT_EQ(ask().has_value(), ::geteuid() == 0);
    server_.permit({4711});
    const Result<Json> refused = ask();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, Error::Kind::denied);
    EXPECT_EQ(refused.error().message,
              "uid " + std::to_string(::geteuid()) + " may not ask; root and uid 4711 may");
}

TEST_F(RpcTest, everybody_may_ask_on_a_socket_that_serves_everybody) {
    const Result<std::uint16_t> port = io::find_free_port(20'000);
    ASSERT_TRUE(port);
    const std::string address = "127.0.0.1:" + std::to_string(*port);
    Server open(loop_.executor());
    open.route("GET", "/v1/hello/{name}", [this](Request request) { return hello(std::move(request)); });
    open.permit({});
    Result<io::Fd> socket = io::listen_on(address, {});
    ASSERT_TRUE(socket) << socket.error().text();
    ASSERT_TRUE(open.serve_everybody(std::move(*socket)));
    Client client(address);
    const Result<Json> answer = run(client.request("GET", "/v1/hello/x", nullptr, seconds(5)));
    EXPECT_TRUE(answer) << answer.error().text();
}

// Waits until the server has closed the connection; what it sent is not read.
bool closes(const io::Fd& socket) {
    pollfd waited{socket.get(), 0, 0};
    return ::poll(&waited, 1, 10'000) == 1 && (waited.revents & POLLHUP) != 0;
}

TEST_F(RpcTest, a_client_that_does_not_take_its_answer_loses_the_connection) {
    Server impatient(loop_.executor(), {.answer_timeout = milliseconds(50)});
    impatient.route("GET", "/large", [this](Request request) { return large(std::move(request)); });
    path_ += ".2";
    ASSERT_TRUE(impatient.listen(path_));
    bool closed = false;
    std::thread client([&] {
        const io::Fd socket = connected();
        const std::string_view request = "GET /large HTTP/1.1\r\nHost: h\r\n\r\n";
        EXPECT_EQ(::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(request.size()));
        closed = closes(socket);
        loop_.stop();
    });
    loop_.run();
    client.join();
    EXPECT_TRUE(closed);
}

}  // namespace

}  // namespace havn::rpc
