#include "supervisor/shell/probe.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>

#include "io/clock.h"
#include "io/net.h"

namespace havn::supervisor {

namespace {

constexpr milliseconds connect_timeout{1'000};
constexpr std::size_t status_bytes = 12;  // "HTTP/1.1 200"

ProbeResult judge(std::string_view head) {
    const bool http = head.size() >= status_bytes && head.starts_with("HTTP/1.") && head[8] == ' ';
    if (!http) return {false, "the answer is not HTTP"};
    const std::string_view digits = head.substr(9, 3);
    const bool good = digits[0] == '2' || digits[0] == '3';
    return {good, fmt::format("HTTP {}", digits)};
}

}  // namespace

io::Task<ProbeResult> probe(std::string address, std::optional<HealthCheck> health) {
    const Duration timeout = health ? health->timeout : connect_timeout;
    const Time deadline = io::now() + timeout;
    Result<io::StreamSocket> connected = co_await io::connect_to(address, timeout);
    if (!connected) {
        const std::string& found = connected.error().message;
        const bool refused = found == fail_errno("connect to " + address, ECONNREFUSED).error().message;
        co_return ProbeResult{false, found, refused};
    }
    if (!health) co_return ProbeResult{true, {}};

    // Shared with the timer's handler, which may still be queued when this coroutine has gone on.
    auto socket = std::make_shared<io::StreamSocket>(std::move(*connected));
    io::Timer timer(socket->get_executor(), deadline);
    timer.async_wait([socket](io::ErrorCode error) {
        if (!error) socket->close(error);
    });
    const std::string request = fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: havn-healthcheck\r\nConnection: close\r\n\r\n",
        health->path, address);
    auto [write_error, written] =
        co_await io::asio::async_write(*socket, io::asio::buffer(request.data(), request.size()), io::result);
    std::array<char, status_bytes> head;
    auto [read_error, size] = co_await io::asio::async_read(*socket, io::asio::buffer(head), io::result);
    const bool timed_out = !socket->is_open();
    timer.cancel();
    if (timed_out) {
        co_return ProbeResult{false, fmt::format("no answer within {} ms", health->timeout.count())};
    }
    if (write_error || read_error) co_return ProbeResult{false, "it closed the connection without an answer"};
    co_return judge(std::string_view(head.data(), head.size()));
}

}  // namespace havn::supervisor
