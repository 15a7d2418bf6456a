#include "gateway/shell/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <string_view>

namespace havn::gateway {

void probe_when_silent(int fd) {
    constexpr int on = 1, idle_seconds = 60, interval_seconds = 15, probes = 4;
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

void Socket::note(std::uint32_t events) {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable_ = true;
    if (events & EPOLLRDHUP) peer_finished_ = true;
    if (events & (EPOLLHUP | EPOLLERR)) broken_ = true;
    if (events & EPOLLOUT) writable_ = true;
}

Transport::Received Socket::receive(char* into, std::size_t size) {
    for (;;) {
        const ssize_t got = ::recv(fd_.get(), into, size, 0);
        if (got > 0) {
            // Less than asked for: nothing is left, and an event will tell of more (epoll(7), Q9).
            if (static_cast<std::size_t>(got) < size && !peer_finished_ && !broken_) readable_ = false;
            return {Status::ok, static_cast<std::size_t>(got)};
        }
        if (got == 0) return {Status::closed};
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return {Status::failed};
        readable_ = false;
        return {Status::blocked};
    }
}

Transport::Status Socket::send(Outgoing& outgoing) {
    while (!outgoing.empty()) {
        ssize_t sent = 0;
        if (outgoing.head.empty() || outgoing.body.empty()) {
            const std::string_view one = outgoing.head.empty() ? outgoing.body : outgoing.head;
            sent = ::send(fd_.get(), one.data(), one.size(), MSG_NOSIGNAL);
        } else {
            iovec parts[2] = {{const_cast<char*>(outgoing.head.data()), outgoing.head.size()},
                              {const_cast<char*>(outgoing.body.data()), outgoing.body.size()}};
            msghdr message{};
            message.msg_iov = parts;
            message.msg_iovlen = 2;
            sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
        }
        if (sent > 0) {
            outgoing.advance(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            writable_ = false;
            return Status::blocked;
        } else if (errno != EINTR) {
            return Status::failed;
        }
    }
    return Status::ok;
}

Transport::Opening Socket::finish_opening() {
    if (!connecting_) return Opening::open;
    if (!writable_ && !broken_) return Opening::pending;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Opening::failed;
    connecting_ = false;
    return Opening::open;
}

bool Socket::is_stale() {
    char byte;
    const ssize_t got = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || errno != EAGAIN;
}

void Socket::shutdown_write() {
    ::shutdown(fd_.get(), SHUT_WR);
}

void Socket::reset() {
    const struct linger hard{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
}

}  // namespace havn::gateway
