// One non-blocking stream socket under a Poller, and what is known of its readiness.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

#include "gateway/shell/poller.h"
#include "io/fd.h"

namespace havn::gateway {

// Has the kernel ask a peer that says nothing whether it is there: after a minute, and three times more at
// intervals of a quarter, so that one that vanished without a word (a phone in a tunnel, a cable) costs its
// connection two minutes. What a listening socket is told of this, those it accepts inherit. Nothing happens
// to a Unix socket.
inline void probe_when_silent(int fd) {
    constexpr int on = 1, idle_seconds = 60, interval_seconds = 15, probes = 4;
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// Bytes that wait to be sent: a head and a part of a body.
struct Outgoing {
    std::string_view head, body;
    bool empty() const { return head.empty() && body.empty(); }
    std::size_t size() const { return head.size() + body.size(); }
    void clear() { head = body = {}; }
    void advance(std::size_t sent) {
        const std::size_t of_head = sent < head.size() ? sent : head.size();
        head.remove_prefix(of_head);
        body.remove_prefix(sent - of_head);
    }
};

class Socket {
  public:
    enum class Status { ok, blocked, closed, failed };
    struct Received {
        Status status;
        std::size_t size = 0;
    };

    Socket() = default;
    explicit Socket(io::Fd fd) : fd_(std::move(fd)) {}

    int fd() const { return fd_.get(); }
    bool is_open() const { return static_cast<bool>(fd_); }
    void close() { fd_.reset(); }
    void shutdown_write() { ::shutdown(fd_.get(), SHUT_WR); }

    // What epoll said. A hang-up keeps the socket readable until its end is read.
    void note(std::uint32_t events) {
        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable_ = true;
        if (events & EPOLLRDHUP) peer_finished_ = true;
        if (events & (EPOLLHUP | EPOLLERR)) broken_ = true;
        if (events & EPOLLOUT) writable_ = true;
    }
    void not_writable_yet() { writable_ = false; }  // while connecting
    bool readable() const { return readable_; }
    bool writable() const { return writable_; }
    bool peer_finished() const { return peer_finished_; }
    bool broken() const { return broken_; }  // both directions are shut, or an error is pending

    Received receive(char* data, std::size_t size) {
        for (;;) {
            const ssize_t got = ::recv(fd_.get(), data, size, 0);
            if (got > 0) {
                // Less than asked for: nothing is left, and an event will tell of more. RFC: epoll(7), Q9.
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

    // ok: all of it left.
    Status send(Outgoing& outgoing) {
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

  private:
    io::Fd fd_;
    bool readable_ = false;
    bool writable_ = true;
    bool peer_finished_ = false;
    bool broken_ = false;
};

}  // namespace havn::gateway
