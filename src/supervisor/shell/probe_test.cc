#include "supervisor/shell/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "io/loop.h"
#include "io/net.h"

namespace havn::supervisor {
namespace {

// A server on a free port that answers every connection with the same bytes, and keeps it open or closes it.
struct ProbeTest : testing::Test {
    io::Loop loop;
    std::uint16_t port = 0;
    std::string received;
    ProbeResult result;

    static io::Task<void> serve(ProbeTest* self, io::Acceptor* acceptor, std::string answer, bool keep_open) {
        auto [error, client] = co_await acceptor->async_accept(io::result);
        if (error) co_return;
        if (!answer.empty()) {
            char buffer[1024];
            auto [read_error, size] = co_await client.async_read_some(io::asio::buffer(buffer), io::result);
            self->received.assign(buffer, size);
            [[maybe_unused]] auto [write_error, written] = co_await io::asio::async_write(
                client, io::asio::buffer(answer.data(), answer.size()), io::result);
        }
        for (bool open = keep_open; open;) {
            char rest[1024];
            auto [end, size] = co_await client.async_read_some(io::asio::buffer(rest), io::result);
            open = !end;
        }
    }
    static io::Task<void> run_probe(ProbeTest* self, std::optional<HealthCheck> health) {
        self->result = co_await probe("127.0.0.1:" + std::to_string(self->port), health);
        self->loop.stop();
    }
    ProbeResult probe_against(const std::string& answer, std::optional<HealthCheck> health,
                              bool keep_open = true) {
        Result<io::Fd> socket = io::listen_on("127.0.0.1:0", {});
        sockaddr_in address{};
        socklen_t size = sizeof address;
        ::getsockname(socket->get(), reinterpret_cast<sockaddr*>(&address), &size);
        port = ntohs(address.sin_port);
        Result<io::Acceptor> acceptor = io::adopt_acceptor(loop.executor(), std::move(*socket));
        loop.spawn(serve(this, &*acceptor, answer, keep_open));
        loop.spawn(run_probe(this, health));
        loop.run();
        return result;
    }
};

TEST_F(ProbeTest, without_a_health_check_an_accepted_connection_is_enough) {
    EXPECT_TRUE(probe_against("", std::nullopt).healthy);
}

TEST_F(ProbeTest, a_refused_connection_is_not) {
    loop.spawn(run_probe(this, std::nullopt));
    port = 1;
    loop.run();
    EXPECT_FALSE(result.healthy);
    EXPECT_THAT(result.found, testing::HasSubstr("refused"));
    EXPECT_TRUE(result.refused);
}

TEST_F(ProbeTest, an_answer_from_200_to_399_is_healthy_before_its_end) {
    EXPECT_TRUE(probe_against("HTTP/1.1 204 No", HealthCheck{.path = "/up"}).healthy);
    EXPECT_TRUE(received.starts_with("GET /up HTTP/1.1\r\nHost: 127.0.0.1:"));
}

TEST_F(ProbeTest, any_other_status_is_named) {
    const ProbeResult found = probe_against("HTTP/1.1 503 Service Unavailable\r\n", HealthCheck{});
    EXPECT_FALSE(found.healthy);
    EXPECT_EQ(found.found, "HTTP 503");
}

TEST_F(ProbeTest, something_that_is_no_http_is_named) {
    EXPECT_EQ(probe_against("SSH-2.0-OpenSSH_9.2p1\r\n", HealthCheck{}).found, "the answer is not HTTP");
}

TEST_F(ProbeTest, silence_ends_at_the_timeout) {
    const ProbeResult found = probe_against("", HealthCheck{.timeout = milliseconds(30)});
    EXPECT_EQ(found.found, "no answer within 30 ms");
}

TEST_F(ProbeTest, a_closed_connection_is_named) {
    EXPECT_EQ(probe_against("HTTP/1.1", HealthCheck{}, false).found,
              "it closed the connection without an answer");
}

}  // namespace
}  // namespace havn::supervisor
