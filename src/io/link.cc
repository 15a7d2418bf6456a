#include "io/link.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <tuple>

namespace havn::io {

namespace {

constexpr std::size_t header_bytes = 4;

}  // namespace

Result<std::pair<Fd, Fd>> Link::make_pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
    return std::pair(Fd(ends[0]), Fd(ends[1]));
}

struct Link::State {
    struct Outgoing {
        std::string bytes;
        std::size_t sent = 0;
        std::vector<Fd> descriptors;
    };
    using Socket = asio::basic_stream_socket<asio::local::stream_protocol, Executor>;

    explicit State(Executor executor) : socket(executor) {}
    void close();
    bool send_some(Outgoing& message);
    Result<bool> receive_some();
    std::size_t incoming_size() const;
    static Task<void> flush(std::shared_ptr<State> self);

    Socket socket;
    std::deque<Outgoing> outgoing;
    std::size_t backlog = 0;
    bool flushing = false;
    bool said_ready = false;
    std::string incoming;
    std::vector<Fd> incoming_descriptors;
    bool descriptors_lost = false;  // of the present message
};

namespace {

bool is_of_type(const Json& body, const char* type) {
    return body.is_object() && text_of(body, "type") == type;
}

}  // namespace

Link::Link(Executor executor, Fd socket) : state_(std::make_shared<State>(executor)) {
    ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
    state_->socket.assign(asio::local::stream_protocol(), socket.release());
    state_->socket.non_blocking(true);
}

Link::~Link() {
    close();
}

void Link::close() {
    if (state_) state_->close();
}

bool Link::is_open() const {
    return state_ && state_->socket.is_open();
}

Result<> Link::send(const Json& body, const std::vector<int>& descriptors) {
    Result<> sent = send_text(body.dump(), descriptors);
    if (sent && is_of_type(body, "ready")) state_->said_ready = true;
    return sent;
}

Result<> Link::send_text(std::string_view text, const std::vector<int>& descriptors) {
    if (!is_open()) return fail(Error::Kind::unavailable, "link closed");
    if (descriptors.size() > descriptors_max || text.size() > message_bytes_max) {
        return fail(
            Error::Kind::invalid,
            fmt::format("link: a message of {} bytes and {} descriptors; at most {} and {} are possible",
                        text.size(), descriptors.size(), message_bytes_max, descriptors_max));
    }
    State::Outgoing message;
    const auto size = static_cast<std::uint32_t>(text.size());
    for (std::size_t i = 0; i < header_bytes; ++i) {
        message.bytes.push_back(static_cast<char>(size >> (8 * i)));
    }
    message.bytes += text;
    for (const int fd : descriptors) {
        Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
        if (!copy) {
            Error error = fail_errno("pass a descriptor on").error();
            error.kind = Error::Kind::unavailable;
            return std::unexpected(std::move(error));
        }
        message.descriptors.push_back(std::move(copy));
    }
    state_->backlog += message.bytes.size();
    if (state_->backlog > message_bytes_max) {
        close();
        return fail(Error::Kind::unavailable, "link closed: its other end stopped reading");
    }
    state_->outgoing.push_back(std::move(message));
    if (!state_->flushing) {
        state_->flushing = true;
        asio::co_spawn(state_->socket.get_executor(), State::flush(state_), asio::detached);
    }
    return {};
}

Task<void> Link::State::flush(std::shared_ptr<State> self) {
    while (!self->outgoing.empty() && self->socket.is_open()) {
        if (!self->send_some(self->outgoing.front())) {
            auto [error] = co_await self->socket.async_wait(Socket::wait_write, result);
            if (error) break;
            continue;
        }
        self->backlog -= self->outgoing.front().bytes.size();
        self->outgoing.pop_front();
    }
    self->flushing = false;
}

// True when the whole message left (or the peer is gone); false when the socket is full.
bool Link::State::send_some(Outgoing& message) {
    while (message.sent < message.bytes.size()) {
        iovec data{message.bytes.data() + message.sent, message.bytes.size() - message.sent};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * descriptors_max)];
        if (!message.descriptors.empty()) {
            const std::size_t bytes = sizeof(int) * message.descriptors.size();
            header.msg_control = control;
            header.msg_controllen = CMSG_SPACE(bytes);
            cmsghdr* ancillary = CMSG_FIRSTHDR(&header);
            ancillary->cmsg_level = SOL_SOCKET;
            ancillary->cmsg_type = SCM_RIGHTS;
            ancillary->cmsg_len = CMSG_LEN(bytes);
            for (std::size_t i = 0; i < message.descriptors.size(); ++i) {
                const int fd = message.descriptors[i].get();
                std::memcpy(CMSG_DATA(ancillary) + i * sizeof fd, &fd, sizeof fd);
            }
        }
        const ssize_t size = ::sendmsg(socket.native_handle(), &header, MSG_NOSIGNAL);
        if (size >= 0) {
            message.sent += static_cast<std::size_t>(size);
            message.descriptors.clear();  // they left with the first byte
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno != EINTR) {
            close();
            return true;
        }
    }
    return true;
}

// The length the first message of `incoming` announces; its header is there.
std::size_t Link::State::incoming_size() const {
    std::uint32_t size = 0;
    for (std::size_t i = 0; i < header_bytes; ++i) {
        size |= static_cast<std::uint32_t>(static_cast<unsigned char>(incoming[i])) << (8 * i);
    }
    return size;
}

Task<Result<Link::Message>> Link::receive() {
    const std::shared_ptr<State> state = state_;
    std::string& incoming = state->incoming;
    for (;;) {
        if (incoming.size() >= header_bytes) {
            const std::size_t size = state->incoming_size();
            if (size > message_bytes_max) {
                state->close();
                co_return fail(Error::Kind::invalid, "link: message of " + std::to_string(size) + " bytes");
            }
            if (incoming.size() >= header_bytes + size) {
                Result<Json> body = parse_json(std::string_view(incoming).substr(header_bytes, size));
                if (!body) {
                    state->close();
                    co_return std::unexpected(body.error());
                }
                incoming.erase(0, header_bytes + size);
                Message message{std::move(*body), std::exchange(state->incoming_descriptors, {}),
                                std::exchange(state->descriptors_lost, false)};
                if (is_of_type(message.body, "ping")) {
                    std::ignore = send({{"type", "pong"}, {"ready", state->said_ready}});
                    continue;
                }
                co_return message;
            }
        }
        Result<bool> received = state->receive_some();
        if (!received) {
            state->close();
            co_return std::unexpected(received.error());
        }
        if (!*received) {
            auto [error] = co_await state->socket.async_wait(State::Socket::wait_read, result);
            if (error) co_return fail(Error::Kind::unavailable, "link closed");
        }
    }
}

// True when bytes came, false when there are none now. Reads no further than the present message, so that
// descriptors are told apart by the message they came with.
Result<bool> Link::State::receive_some() {
    if (!socket.is_open()) return fail(Error::Kind::unavailable, "link closed");
    const std::size_t wanted = incoming.size() < header_bytes
                                   ? header_bytes - incoming.size()
                                   : header_bytes + incoming_size() - incoming.size();
    char buffer[65536];
    iovec data{buffer, std::min(sizeof buffer, wanted)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * descriptors_max)];
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(socket.native_handle(), &header, MSG_CMSG_CLOEXEC);
    if (size < 0) {
        if (errno == EAGAIN || errno == EINTR) return false;
        return fail_errno("link");
    }
    if (size == 0) return fail(Error::Kind::unavailable, "link closed by its other end");
    for (cmsghdr* ancillary = CMSG_FIRSTHDR(&header); ancillary;
         ancillary = CMSG_NXTHDR(&header, ancillary)) {
        if (ancillary->cmsg_level != SOL_SOCKET || ancillary->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (ancillary->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(ancillary) + i * sizeof fd, sizeof fd);
            incoming_descriptors.emplace_back(fd);
        }
    }
    if ((header.msg_flags & MSG_CTRUNC) != 0) descriptors_lost = true;
    incoming.append(buffer, static_cast<std::size_t>(size));
    return true;
}

void Link::State::close() {
    ErrorCode ignored;
    socket.close(ignored);
    if (!flushing) outgoing.clear();
}

Result<Fd> inherited_link() {
    const char* text = std::getenv(link_variable);
    if (!text) {
        return fail(Error::Kind::invalid, "this part is started by the supervisor, not by hand",
                    "start the platform with `havn up`");
    }
    int fd = -1;
    const std::string_view digits(text);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), fd);
    if (error != std::errc{} || ::fcntl(fd, F_GETFD) < 0) {
        return fail(Error::Kind::invalid, std::string(link_variable) + "=" + text + " is no open descriptor");
    }
    return Fd(fd);
}

}  // namespace havn::io
