// What forwarding costs when nothing is understood: a TCP forwarder that copies bytes between a client and a
// connection of its own to the upstream. The floor a gateway on sockets is measured against.
//
//     tcp_forward LISTEN_PORT UPSTREAM_PORT THREADS        loopback only; ends on SIGTERM
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

void set_option(int fd, int level, int name) {
    const int on = 1;
    if (setsockopt(fd, level, name, &on, sizeof on) != 0) die("setsockopt");
}

int listen_on(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    const sockaddr_in address = loopback(port);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("bind");
    if (listen(fd, 4096) != 0) die("listen");
    return fd;
}

int connect_to(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("connect");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    return fd;
}

struct Half {
    int fd = -1;
    Half* other = nullptr;
    std::string waiting;  // bytes for `fd` that its socket would not take yet
};

class Forwarder {
  public:
    Forwarder(std::uint16_t port, std::uint16_t upstream)
        : upstream_(upstream), listener_(listen_on(port)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
        epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) != 0) die("epoll_ctl");
    }

    void run() {
        std::array<epoll_event, 256> events{};
        for (;;) {
            const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                auto* half = static_cast<Half*>(events[static_cast<std::size_t>(i)].data.ptr);
                if (half == nullptr) {
                    accept_all();
                } else if (half->fd >= 0) {
                    serve(*half, events[static_cast<std::size_t>(i)].events);
                }
            }
            for (Half* half : closed_) delete half;
            closed_.clear();
        }
    }

  private:
    void accept_all() {
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            set_option(fd, IPPROTO_TCP, TCP_NODELAY);
            auto* client = new Half{.fd = fd, .other = nullptr, .waiting = {}};
            auto* server = new Half{.fd = connect_to(upstream_), .other = client, .waiting = {}};
            client->other = server;
            for (Half* half : {client, server}) {
                epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = half}};
                if (epoll_ctl(epoll_, EPOLL_CTL_ADD, half->fd, &event) != 0) die("epoll_ctl");
            }
        }
    }

    void serve(Half& half, std::uint32_t events) {
        if ((events & EPOLLOUT) != 0 && !half.waiting.empty()) {
            const ssize_t sent = write(half.fd, half.waiting.data(), half.waiting.size());
            if (sent > 0) half.waiting.erase(0, static_cast<std::size_t>(sent));
        }
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) copy_from(half);
    }

    void copy_from(Half& half) {
        for (;;) {
            const ssize_t got = read(half.fd, buffer_.data(), buffer_.size());
            if (got < 0 && errno == EAGAIN) return;
            if (got <= 0) return close_pair(half);
            pass_on(*half.other, {buffer_.data(), static_cast<std::size_t>(got)});
            if (static_cast<std::size_t>(got) < buffer_.size()) return;
        }
    }

    static void pass_on(Half& half, std::string_view bytes) {
        if (half.waiting.empty()) {
            const ssize_t sent = write(half.fd, bytes.data(), bytes.size());
            if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        half.waiting.append(bytes);
    }

    void close_pair(Half& half) {
        for (Half* each : {&half, half.other}) {
            close(each->fd);
            each->fd = -1;
            closed_.push_back(each);  // an event of this turn may still point at it
        }
    }

    std::uint16_t upstream_;
    int listener_;
    int epoll_;
    std::array<char, 65536> buffer_{};
    std::vector<Half*> closed_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fputs("usage: tcp_forward LISTEN_PORT UPSTREAM_PORT THREADS\n", stderr);
        return 2;
    }
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    const auto upstream = static_cast<std::uint16_t>(std::atoi(argv[2]));
    std::vector<std::thread> threads;
    for (int i = std::atoi(argv[3]); i > 0; --i) {
        threads.emplace_back([port, upstream] { Forwarder(port, upstream).run(); });
    }
    for (std::thread& thread : threads) thread.join();
}
