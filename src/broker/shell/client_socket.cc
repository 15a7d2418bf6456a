#include "broker/shell/client_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "broker/shell/server.h"
#include "io/clock.h"

namespace havn::broker {

namespace {

constexpr int sends_per_turn = 16;  // then others have their turn
constexpr Duration linger_for_client = seconds(1);
constexpr Duration linger_after_end = seconds(2);
constexpr std::uint64_t discarded_bytes_max = 64u << 20;

}  // namespace

ClientSocket::ClientSocket(Server& server, io::StreamSocket socket, Connection::Peer peer, Time now)
    : server_(server),
      socket_(std::move(socket)),
      connection_(server.broker().connections(), std::move(peer), now) {
    io::ErrorCode ignored;
    socket_.native_non_blocking(true, ignored);
}

bool ClientSocket::may_read() const {
    if (hung_up_ || dropped_) return false;
    return lingering_ || (!connection_.closed() && !connection_.paused());
}

void ClientSocket::read_when_readable() {
    if (reading_ || !may_read()) return;
    if (!lingering_ && server_.reading_is_held()) return server_.resume_later(*this);
    reading_ = true;
    socket_.async_wait(io::StreamSocket::wait_read,
                       [self = shared_from_this()](io::ErrorCode error) { self->on_readable(error); });
}

void ClientSocket::on_readable(io::ErrorCode error) {
    reading_ = false;
    if (error || dropped_) return;
    if (lingering_) return discard_input();
    const std::span<char> buffer = server_.read_buffer();
    const std::size_t kept = unread_.size();
    if (!may_read() || kept + Server::read_bytes > buffer.size()) {
        was_held_back_ = was_held_back_ || connection_.held_back();
        return server_.touch(*this);
    }
    if (kept > 0) std::memcpy(buffer.data(), unread_.data(), kept);
    const ssize_t size =
        ::recv(socket_.native_handle(), buffer.data() + kept, Server::read_bytes, MSG_DONTWAIT);
    if (size > 0) {
        feed({buffer.data(), kept + static_cast<std::size_t>(size)}, io::now());
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        hung_up_ = true;
    }
    server_.touch(*this);
    read_when_readable();
}

void ClientSocket::discard_input() {
    const std::span<char> buffer = server_.read_buffer();
    const ssize_t size = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) discarded_ += static_cast<std::uint64_t>(size);
    const bool ended = size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
    if (ended || discarded_ > discarded_bytes_max) return hang_up();
    read_when_readable();
}

void ClientSocket::hang_up() {
    hung_up_ = true;
    server_.touch(*this);
}

void ClientSocket::feed(std::string_view bytes, Time now) {
    const std::size_t eaten = connection_.on_bytes(bytes, now);
    bytes.remove_prefix(eaten);
    was_held_back_ = connection_.held_back();
    if (bytes.empty()) {
        std::string().swap(unread_);
    } else {
        unread_.assign(bytes);
    }
}

bool ClientSocket::peer_has_gone() const {
    pollfd probe{const_cast<io::StreamSocket&>(socket_).native_handle(), POLLRDHUP, 0};
    return ::poll(&probe, 1, 0) == 1 && (probe.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void ClientSocket::resume(Time now) {
    if (dropped_ || (!lingering_ && connection_.paused())) return;  // the waker tells when that is over
    // Whoever was held back and has gone since has given up: what it sent meanwhile is not done in its name.
    if (was_held_back_ && peer_has_gone()) return hang_up();
    was_held_back_ = false;
    if (!unread_.empty() && !connection_.closed()) {
        const std::string again = std::move(unread_);
        unread_.clear();
        feed(again, now);
        server_.touch(*this);
    }
    read_when_readable();
}

bool ClientSocket::send_some() {
    while (sent_ < unsent_.size()) {
        const ssize_t size = ::send(socket_.native_handle(), unsent_.data() + sent_, unsent_.size() - sent_,
                                    MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size >= 0) {
            sent_ += static_cast<std::size_t>(size);
            sent_ever_ += static_cast<std::uint64_t>(size);
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno != EINTR) {
            hung_up_ = true;
            return false;
        }
    }
    return true;
}

void ClientSocket::send(Time now) {
    if (dropped_) return;
    for (int turn = 0; turn < sends_per_turn && !hung_up_ && !writing_; ++turn) {
        if (sent_ == unsent_.size()) {
            unsent_.clear();
            sent_ = 0;
            unsent_.swap(connection_.output());
            if (unsent_.empty()) {
                std::string().swap(unsent_);
                break;
            }
        }
        if (!send_some()) break;
        connection_.on_writable();
    }
    if (hung_up_) return drop(now);
    if (!all_sent()) connection_.on_writable(unsent_.size() - sent_);
    if (sent_ < unsent_.size()) {
        if (writing_) return;
        writing_ = true;
        socket_.async_wait(io::StreamSocket::wait_write,
                           [self = shared_from_this()](io::ErrorCode error) { self->on_writable(error); });
    } else if (connection_.has_output()) {
        server_.touch(*this);
    } else if (connection_.closed()) {
        linger(now);
    }
    if (!reading_ && may_read()) server_.resume_later(*this);
}

// Everything was said. A client that closed is to hang up first, as it expects to; others see the end of our
// side at once. Neither is waited for long.
void ClientSocket::linger(Time now) {
    if (lingering_ || server_.stopping()) {
        hung_up_ = hung_up_ || server_.stopping();
        return;
    }
    lingering_ = true;
    std::string().swap(unread_);
    told_end_ = !connection_.closed_by_client();
    connection_.end(now);
    linger_until_ = now + (told_end_ ? linger_after_end : linger_for_client);
    if (told_end_) ::shutdown(socket_.native_handle(), SHUT_WR);
}

void ClientSocket::on_tick(Time now) {
    if (dropped_) return;
    if (lingering_) {
        if (now < linger_until_) return;
        if (told_end_) return hang_up();
        told_end_ = true;
        linger_until_ = now + linger_after_end;
        ::shutdown(socket_.native_handle(), SHUT_WR);
        return;
    }
    if (connection_.held_back() && peer_has_gone()) return hang_up();
    const bool takes_something = sent_ever_ != sent_at_tick_;
    sent_at_tick_ = sent_ever_;
    if (connection_.closed()) return wait_for_receiver(takes_something, now);
    log_if_choked();
    if (!reading_ && (!connection_.choked() || takes_something)) connection_.excuse_silence(now);
    if (connection_.next_deadline() <= now) {
        connection_.on_time(now);
        server_.touch(*this);
    }
    if (unsent_.empty()) connection_.release_spare();
}

// It is over, and something is left to be sent. Whoever takes none of it is not there: what the connection
// held for it goes to others.
void ClientSocket::wait_for_receiver(bool takes_something, Time now) {
    if (takes_something || linger_until_ == Time::max()) linger_until_ = now + linger_after_end;
    if (now >= linger_until_) hang_up();
}

// Once for each connection: a client that does not read must not fill the log either.
void ClientSocket::log_if_choked() {
    if (!connection_.choked() || std::exchange(logged_choked_, true)) return;
    log::warning(
        "{}{}{}: more than {} MiB that were sent to it are unread; what it sends is not read until it reads "
        "them",
        connection_.user(), connection_.user().empty() ? "" : " at ", connection_.peer().address,
        Outbox::choked_bytes >> 20);
}

void ClientSocket::on_writable(io::ErrorCode error) {
    writing_ = false;
    if (error || dropped_) return;
    server_.touch(*this);
}

bool ClientSocket::finished() {
    return dropped_ || hung_up_;
}

void ClientSocket::drop(Time now) {
    if (dropped_) return;
    dropped_ = true;
    connection_.end(now);
    io::ErrorCode ignored;
    socket_.shutdown(io::StreamSocket::shutdown_both, ignored);
    socket_.close(ignored);
}

}  // namespace havn::broker
