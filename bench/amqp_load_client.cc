#include "amqp_load_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace havn::bench {

namespace {

constexpr std::size_t frame_head = 7;  // type, channel, size
constexpr char frame_end = '\xce';

std::string frame(std::uint8_t type, std::uint16_t channel, std::string_view payload) {
    Writer out;
    out.number(type).number(channel).number(static_cast<std::uint32_t>(payload.size()));
    out.bytes.append(payload).push_back(frame_end);
    return out.bytes;
}

int connect_loopback(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        die(fmt::format("connect to 127.0.0.1:{}: {}", port, std::strerror(errno)));
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

}  // namespace

void die(std::string_view message) {
    fmt::print(stderr, "amqp_load: {}\n", message);
    std::exit(1);
}

Writer& Writer::shortstr(std::string_view text) {
    number(static_cast<std::uint8_t>(text.size()));
    bytes.append(text);
    return *this;
}

Writer& Writer::longstr(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    bytes.append(text);
    return *this;
}

std::string_view Reader::take(std::size_t count) {
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(taken.size());
    return taken;
}

std::string method_frame(std::uint16_t channel, Method method, std::string_view arguments) {
    Writer payload;
    payload.number(static_cast<std::uint32_t>(method)).bytes.append(arguments);
    return frame(1, channel, payload.bytes);
}

std::string publish_frames(std::string_view queue, std::string_view body) {
    Writer arguments, header;
    arguments.number(std::uint16_t{0}).shortstr("").shortstr(queue).number(std::uint8_t{0});
    header.number(std::uint16_t{60}).number(std::uint16_t{0}).number(std::uint64_t{body.size()});
    header.number(std::uint16_t{0x1000}).number(std::uint8_t{2});  // delivery-mode: persistent
    return method_frame(1, Method::basic_publish, arguments.bytes) + frame(2, 1, header.bytes) +
           frame(3, 1, body);
}

Client::Client(std::uint16_t port) : fd_(connect_loopback(port)) {
    in_.resize(1 << 20);
    send({"AMQP\0\0\x9\x1", 8});
    Frame start{};
    while (!next(start)) fill(-1);
    if (start.method != Method::connection_start) die("the broker did not begin with connection.start");

    Writer start_ok, open;
    start_ok.longstr("").shortstr("PLAIN").longstr({"\0guest\0guest", 12}).shortstr("en_US");
    const std::string tune = call(0, Method::connection_start_ok, start_ok.bytes, Method::connection_tune);
    Reader limits(tune);
    Writer tune_ok;
    tune_ok.number(limits.number<std::uint16_t>()).number(limits.number<std::uint32_t>());
    tune_ok.number(std::uint16_t{0});  // no heartbeats: a run is short
    send(method_frame(0, Method::connection_tune_ok, tune_ok.bytes));
    open.shortstr("/").shortstr("").number(std::uint8_t{0});
    call(0, Method::connection_open, open.bytes, Method::connection_open_ok);
    call(1, Method::channel_open, Writer().shortstr("").bytes, Method::channel_open_ok);
}

Client::~Client() {
    close(fd_);
}

std::string Client::call(std::uint16_t channel, Method method, std::string_view arguments, Method answer) {
    send(method_frame(channel, method, arguments));
    for (;;) {
        Frame frame{};
        while (!next(frame)) fill(-1);
        if (frame.type == Frame::Type::method && frame.method == answer) return std::string(frame.payload);
    }
}

void Client::flush() {
    while (sent_ < out_.size()) {
        const ssize_t count = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) die(fmt::format("the broker went away: {}", std::strerror(errno)));
        sent_ += static_cast<std::size_t>(count);
    }
    if (sent_ == out_.size()) {
        out_.clear();
        sent_ = 0;
    }
}

void Client::fill(int milliseconds) {
    flush();
    pollfd wait{
        .fd = fd_, .events = static_cast<short>(unsent() > 0 ? POLLIN | POLLOUT : POLLIN), .revents = 0};
    poll(&wait, 1, milliseconds);
    flush();
    if (read_ > 0) {
        std::memmove(in_.data(), in_.data() + read_, filled_ - read_);
        filled_ -= read_;
        read_ = 0;
    }
    const ssize_t count = recv(fd_, in_.data() + filled_, in_.size() - filled_, 0);
    if (count == 0) die("the broker closed the connection");
    if (count < 0 && errno != EAGAIN) die(fmt::format("the broker went away: {}", std::strerror(errno)));
    if (count > 0) filled_ += static_cast<std::size_t>(count);
}

bool Client::next(Frame& frame) {
    const std::string_view here(in_.data() + read_, filled_ - read_);
    if (here.size() < frame_head) return false;
    Reader head(here);
    frame.type = static_cast<Frame::Type>(head.number<std::uint8_t>());
    head.number<std::uint16_t>();
    const std::size_t size = head.number<std::uint32_t>();
    if (here.size() < frame_head + size + 1) return false;
    if (here[frame_head + size] != frame_end) die("a frame does not end with 0xCE");
    frame.payload = here.substr(frame_head, size);
    read_ += frame_head + size + 1;
    if (frame.type != Frame::Type::method) return true;
    Reader payload(frame.payload);
    frame.method = static_cast<Method>(payload.number<std::uint32_t>());
    frame.payload.remove_prefix(4);
    if (frame.method == Method::connection_close || frame.method == Method::channel_close) {
        const auto code = payload.number<std::uint16_t>();
        die(fmt::format("the broker closes: {} {}", code, payload.shortstr()));
    }
    return true;
}

}  // namespace havn::bench
