#include "broker/shell/connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "broker/shell/server.h"
#include "io/clock.h"

namespace havn::broker {

static constexpr int sends_per_turn = 16;  // then others have their turn

Connection::Connection(Server& server, io::StreamSocket socket, Session::Peer peer, Time now)
    : server_(server), socket_(std::move(socket)), session_(server.broker(), std::move(peer), now) {
    io::ErrorCode ignored;
    socket_.native_non_blocking(true, ignored);
}

bool Connection::may_read() const {
    return !hung_up_ && !dropped_ && !session_.closed() && !session_.paused() &&
           unsent_.size() - sent_ < unsent_bytes_max;
}

void Connection::read_when_readable() {
    if (reading_ || !may_read()) return;
    if (server_.reading_is_held()) return server_.resume_later(*this);
    reading_ = true;
    socket_.async_wait(io::StreamSocket::wait_read,
                       [self = shared_from_this()](io::ErrorCode error) { self->on_readable(error); });
}

void Connection::on_readable(io::ErrorCode error) {
    reading_ = false;
    if (error || dropped_) return;
    const std::span<char> buffer = server_.read_buffer();
    const std::size_t kept = unread_.size();
    if (!may_read() || kept + Server::read_bytes > buffer.size()) return server_.resume_later(*this);
    if (kept > 0) std::memcpy(buffer.data(), unread_.data(), kept);
    const ssize_t size =
        ::recv(socket_.native_handle(), buffer.data() + kept, Server::read_bytes, MSG_DONTWAIT);
    if (size > 0) {
        feed({buffer.data(), kept + static_cast<std::size_t>(size)}, io::now());
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        hung_up_ = true;
    }
    server_.touch(*this);
    if (session_.paused()) server_.resume_later(*this);
    read_when_readable();
}

void Connection::feed(std::string_view bytes, Time now) {
    const std::size_t eaten = session_.on_bytes(bytes, now);
    bytes.remove_prefix(eaten);
    if (bytes.empty()) {
        std::string().swap(unread_);
    } else {
        unread_.assign(bytes);
    }
}

void Connection::resume(Time now) {
    if (dropped_) return;
    if (session_.paused() && !session_.closed()) return server_.resume_later(*this);
    if (!unread_.empty() && !session_.closed()) {
        const std::string again = std::move(unread_);
        unread_.clear();
        feed(again, now);
        server_.touch(*this);
        if (session_.paused()) return server_.resume_later(*this);
    }
    read_when_readable();
}

bool Connection::send_some() {
    while (sent_ < unsent_.size()) {
        const ssize_t size = ::send(socket_.native_handle(), unsent_.data() + sent_, unsent_.size() - sent_,
                                    MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size >= 0) {
            sent_ += static_cast<std::size_t>(size);
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno != EINTR) {
            hung_up_ = true;
            return false;
        }
    }
    return true;
}

void Connection::send(Time now) {
    if (dropped_ || writing_) return;
    for (int turn = 0; turn < sends_per_turn && !hung_up_; ++turn) {
        if (sent_ == unsent_.size()) {
            unsent_.clear();
            sent_ = 0;
            unsent_.swap(session_.output());
            if (unsent_.empty()) {
                std::string().swap(unsent_);
                break;
            }
        }
        if (!send_some()) break;
        session_.on_writable();
    }
    if (hung_up_) return drop(now);
    if (sent_ < unsent_.size()) {
        writing_ = true;
        socket_.async_wait(io::StreamSocket::wait_write,
                           [self = shared_from_this()](io::ErrorCode error) { self->on_writable(error); });
    } else if (!session_.output().empty()) {
        server_.touch(*this);
    }
}

void Connection::on_writable(io::ErrorCode error) {
    writing_ = false;
    if (error || dropped_) return;
    server_.touch(*this);
    server_.resume_later(*this);
}

bool Connection::finished() {
    return dropped_ || hung_up_ ||
           (session_.closed() && sent_ == unsent_.size() && session_.output().empty());
}

void Connection::drop(Time now) {
    if (dropped_) return;
    dropped_ = true;
    session_.end(now);
    io::ErrorCode ignored;
    socket_.shutdown(io::StreamSocket::shutdown_both, ignored);
    socket_.close(ignored);
}

}  // namespace havn::broker
