#include "amqp_load_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace havn::bench {

namespace {

int connect_loopback(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        die(fmt::format("connect to 127.0.0.1:{}: {}", port, std::strerror(errno)));
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

amqp::client::Options client_options(std::uint64_t unconfirmed_max) {
    amqp::client::Options options;
    options.product = "havn bench";
    options.heartbeat_max = seconds(0);  // a run is short
    options.handshake_timeout = options.reply_timeout = seconds(60);
    options.output_bytes_max = LoadClient::unsent_bytes_max;
    options.unconfirmed_max = unconfirmed_max;
    return options;
}

}  // namespace

void die(std::string_view message) {
    fmt::print(stderr, "amqp_load: {}\n", message);
    std::exit(1);
}

LoadClient::LoadClient(std::uint16_t port, std::uint64_t unconfirmed_max)
    : fd_(connect_loopback(port)),
      connection_(client_options(unconfirmed_max), *this),
      channel_(connection_, *this),
      in_(1 << 20) {
    connection_.open({"guest", "guest", "/"}, Clock::now());
    turn_until([this] { return connection_.is_open(); });
    channel_.open();
    turn_until([this] { return channel_.is_open(); });
}

LoadClient::~LoadClient() {
    close(fd_);
    connection_.reset();
}

template <class Condition>
void LoadClient::turn_until(Condition condition) {
    while (!condition()) {
        turn(1'000);
        const Result<> in_time = connection_.on_time(Clock::now());
        if (!in_time) die(in_time.error().message);
    }
}

void LoadClient::wait_for(std::uint32_t request) {
    turn_until([this, request] { return replied_ == request; });
}

void LoadClient::on_closed(const Error& why) {
    die(why.message);
}

void LoadClient::flush() {
    for (;;) {
        const amqp::client::Output::Pieces pieces = connection_.pieces();
        const std::string_view piece = pieces.head.empty() ? pieces.body : pieces.head;
        if (piece.empty()) return;
        const ssize_t count = ::send(fd_, piece.data(), piece.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) return;
        if (count < 0) die(fmt::format("the broker went away: {}", std::strerror(errno)));
        connection_.sent(static_cast<std::size_t>(count));
    }
}

void LoadClient::turn(int milliseconds) {
    flush();
    const int events = unsent() > 0 ? POLLIN | POLLOUT : POLLIN;
    pollfd wait{.fd = fd_, .events = static_cast<short>(events), .revents = 0};
    poll(&wait, 1, milliseconds);
    flush();
    receive();
}

void LoadClient::receive() {
    const ssize_t count = recv(fd_, in_.data() + filled_, in_.size() - filled_, 0);
    if (count == 0) die("the broker closed the connection");
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) die(fmt::format("the broker went away: {}", std::strerror(errno)));
    filled_ += static_cast<std::size_t>(count);
    const Result<std::size_t> eaten = connection_.receive({in_.data(), filled_}, Clock::now());
    if (!eaten) die(eaten.error().message);
    filled_ -= *eaten;
    std::memmove(in_.data(), in_.data() + *eaten, filled_);
}

}  // namespace havn::bench
