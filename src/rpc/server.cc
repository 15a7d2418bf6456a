#include "rpc/server.h"

#include <sys/socket.h>

#include <set>
#include <vector>

#include "base/log.h"
#include "base/text/percent.h"
#include "io/gate.h"
#include "io/inherited.h"
#include "io/loop.h"
#include "io/net.h"
#include "rpc/reader.h"
#include "wire/http1/write.h"

namespace havn::rpc {

namespace {

std::vector<std::string> segments_of(std::string_view path) {
    std::vector<std::string> segments;
    while (!path.empty()) {
        path.remove_prefix(path.front() == '/' ? 1 : 0);
        const std::size_t end = std::min(path.find('/'), path.size());
        segments.emplace_back(path.substr(0, end));
        path.remove_prefix(end);
    }
    return segments;
}

}  // namespace

struct Route {
    std::string method;
    std::vector<std::string> pattern;
    Server::Handler handler;

    bool matches(const std::vector<std::string>& path) const;
    std::map<std::string, std::string> parameters(const std::vector<std::string>& path) const;
};

namespace {

bool is_parameter(std::string_view segment) {
    return segment.starts_with('{');
}

}  // namespace

bool Route::matches(const std::vector<std::string>& path) const {
    if (path.size() != pattern.size()) return false;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (!is_parameter(pattern[i]) && pattern[i] != path[i]) return false;
    }
    return true;
}

std::map<std::string, std::string> Route::parameters(const std::vector<std::string>& path) const {
    std::map<std::string, std::string> found;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (!is_parameter(pattern[i])) continue;
        found[pattern[i].substr(1, pattern[i].size() - 2)] = percent_decode(path[i]);
    }
    return found;
}

namespace {

void read_query(std::string_view text, std::map<std::string, std::string>& query) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('&'), text.size());
        const std::string_view pair = text.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        query[percent_decode(pair.substr(0, equals))] =
            percent_decode(pair.substr(std::min(equals + 1, pair.size())));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

}  // namespace

struct Connection {
    explicit Connection(io::StreamSocket accepted)
        : socket(std::move(accepted)), reader(socket), deadline(socket.get_executor()) {}

    void close() {
        io::ErrorCode ignored;
        socket.close(ignored);
    }

    // Closes the connection should the peer not be done within `limit`.
    static void arm(const std::shared_ptr<Connection>& self, Duration limit) {
        self->deadline.expires_after(limit);
        self->deadline.async_wait([self](io::ErrorCode error) {
            if (!error) self->close();
        });
    }

    io::StreamSocket socket;
    Reader reader;
    io::Timer deadline;
};

struct Server::State : std::enable_shared_from_this<Server::State> {
    State(io::Executor on, Limits bounds) : executor(on), limits(bounds), acceptor(on), connections(on) {}

    static Task<void> accept(std::shared_ptr<State> self);
    static Task<void> serve(std::shared_ptr<State> self, std::shared_ptr<Connection> connection,
                            io::Gate::Holder holder);
    Task<Result<Request>> receive(Connection& connection, Head head);
    Task<Response> answer(Request request);
    void close();

    io::Executor executor;
    Limits limits;
    io::Acceptor acceptor;
    io::Gate connections;
    std::set<uid_t> callers = io::permitted_callers();
    bool serves_everybody = false;
    std::set<std::shared_ptr<Connection>> open;
    std::vector<Route> routes;
};

Server::Server(io::Executor executor) : Server(executor, Limits{}) {}
Server::Server(io::Executor executor, Limits limits) : state_(std::make_shared<State>(executor, limits)) {}
Server::~Server() {
    state_->close();
}

void Server::route(std::string_view method, std::string_view pattern, Handler handler) {
    state_->routes.push_back({std::string(method), segments_of(pattern), std::move(handler)});
}

Result<> Server::listen(const std::string& path, unsigned mode) {
    Result<io::Fd> socket = io::listen_on("unix:" + path, {.unix_mode = mode});
    if (!socket) return std::unexpected(socket.error());
    return listen_on(std::move(*socket));
}

Result<> Server::listen_as_part(const std::string& path) {
    std::optional<io::Fd> given = io::inherited_rpc_socket();
    return given ? listen_on(*std::move(given)) : listen(path);
}

Result<> Server::serve_everybody(io::Fd listening) {
    state_->serves_everybody = true;
    return listen_on(std::move(listening));
}

void Server::permit(std::set<uid_t> callers) {
    state_->callers = std::move(callers);
}

Result<> Server::listen_on(io::Fd socket) {
    Result<io::Acceptor> acceptor = io::adopt_acceptor(state_->executor, std::move(socket));
    if (!acceptor) return std::unexpected(acceptor.error());
    state_->acceptor = std::move(*acceptor);
    io::asio::co_spawn(state_->executor, State::accept(state_), io::asio::detached);
    return {};
}

Task<void> Server::close() {
    const std::shared_ptr<State> state = state_;
    state->close();
    co_await state->connections.closed();
}

void Server::State::close() {
    connections.close();
    io::ErrorCode ignored;
    acceptor.close(ignored);
    for (const std::shared_ptr<Connection>& connection : open) connection->close();
}

Task<void> Server::State::accept(std::shared_ptr<State> self) {
    while (self->acceptor.is_open()) {
        auto [error, socket] = co_await self->acceptor.async_accept(io::result);
        if (error == io::asio::error::operation_aborted) break;
        if (error) {
            log::warning("control socket: {}", error.message());
            co_await io::sleep_for(milliseconds(100));  // out of descriptors: others may give some back
            continue;
        }
        if (self->connections.holders() >= self->limits.connections_max) continue;
        std::optional<io::Gate::Holder> holder = self->connections.hold();
        if (!holder) break;
        auto connection = std::make_shared<Connection>(std::move(socket));
        self->open.insert(connection);
        io::asio::co_spawn(self->executor, serve(self, std::move(connection), std::move(*holder)),
                           io::asio::detached);
    }
}

namespace {

Task<Result<>> write(io::StreamSocket& socket, std::string bytes) {
    auto [error, size] = co_await io::asio::async_write(socket, io::asio::buffer(bytes), io::result);
    if (error) co_return fail_errno("answer", error.value());
    co_return Result<>{};
}

}  // namespace

// A streamed body: each line one chunk (RFC 9112 §7.1).
class ChunkedLines : public Lines {
  public:
    explicit ChunkedLines(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

    Task<Result<>> send(Json line) override {
        const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
        Result<> sent = co_await write(connection_->socket, fmt::format("{:x}\r\n{}\r\n", text.size(), text));
        if (!sent) connection_->close();
        co_return sent;
    }

    bool gone() override {
        if (!connection_->socket.is_open()) return true;
        char byte;
        return ::recv(connection_->socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    }

  private:
    std::shared_ptr<Connection> connection_;
};

namespace {

Task<Result<>> send(std::shared_ptr<Connection> connection, Response response, bool keep_alive) {
    std::string head = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", response.status,
                                   http1::reason(static_cast<unsigned>(response.status)), response.type);
    if (!keep_alive) head += "Connection: close\r\n";
    if (!response.stream) {
        head += fmt::format("Content-Length: {}\r\n\r\n", response.body.size());
        Result<> sent = co_await write(connection->socket, head + response.body);
        co_return sent;
    }
    Result<> sent = co_await write(connection->socket, head + "Transfer-Encoding: chunked\r\n\r\n");
    if (!sent) co_return sent;
    co_await response.stream(std::make_shared<ChunkedLines>(connection));
    sent = co_await write(connection->socket, std::string(http1::last_chunk));
    co_return sent;
}

// Answers what cannot be read further, then takes what the peer is still sending: closing with bytes unread
// would make the kernel discard the answer.
Task<void> refuse(std::shared_ptr<Connection> connection, Error reason) {
    Connection::arm(connection, seconds(2));
    Result<> sent = co_await send(connection, error(reason), false);
    if (!sent) co_return;
    io::ErrorCode failed;
    connection->socket.shutdown(io::StreamSocket::shutdown_send, failed);
    std::string discarded(65536, '\0');
    while (!failed) {
        auto [error, size] =
            co_await connection->socket.async_read_some(io::asio::buffer(discarded), io::result);
        failed = error;
    }
    connection->deadline.cancel();
}

}  // namespace

// The rest of a request whose head is there.
Task<Result<Request>> Server::State::receive(Connection& connection, Head head) {
    if (head.expects_continue) {  // RFC 9110 §10.1.1
        Result<> sent = co_await write(connection.socket, "HTTP/1.1 100 Continue\r\n\r\n");
        if (!sent) co_return std::unexpected(sent.error());
    }
    Result<std::string> body = co_await connection.reader.body(limits.body_bytes_max);
    if (!body) co_return std::unexpected(body.error());
    Request request;
    request.method = std::move(head.method);
    request.body = std::move(*body);
    const std::size_t mark = std::min(head.target.find('?'), head.target.size());
    request.path = head.target.substr(0, mark);  // still encoded: segments are told apart before decoding
    read_query(std::string_view(head.target).substr(std::min(mark + 1, head.target.size())), request.query);
    co_return request;
}

Task<Response> Server::State::answer(Request request) {
    const std::vector<std::string> path = segments_of(request.path);
    request.path = percent_decode(request.path);
    std::string allowed;
    for (const Route& route : routes) {
        if (!route.matches(path)) continue;
        if (route.method == request.method) {
            request.parameters = route.parameters(path);
            Response response = co_await route.handler(std::move(request));
            co_return response;
        }
        allowed += allowed.empty() ? route.method : ", " + route.method;
    }
    if (!allowed.empty()) {
        Response response =
            error({Error::Kind::invalid, request.path + " takes " + allowed + ", not " + request.method, {}});
        response.status = 405;
        co_return response;
    }
    co_return error({Error::Kind::not_found, "no such path: " + request.path, {}});
}

namespace {

// Why the peer may not ask; nothing when it may.
std::optional<Error> objection(int socket, const std::set<uid_t>& callers) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return Error{Error::Kind::denied, "it is not known who asks", {}};
    }
    if (callers.contains(peer.uid)) return std::nullopt;
    std::string others;
    for (const uid_t uid : callers) {
        if (uid != 0) others += fmt::format(" and uid {}", uid);
    }
    return Error{Error::Kind::denied, fmt::format("uid {} may not ask; root{} may", peer.uid, others), {}};
}

}  // namespace

Task<void> Server::State::serve(std::shared_ptr<State> self, std::shared_ptr<Connection> connection,
                                io::Gate::Holder) {
    std::optional<Error> objected;
    if (!self->serves_everybody) objected = objection(connection->socket.native_handle(), self->callers);
    if (objected) co_await refuse(connection, *std::move(objected));
    for (bool keep_alive = !objected; keep_alive;) {
        Connection::arm(connection, self->limits.request_timeout);
        Result<std::optional<Head>> head = co_await connection->reader.request_head();
        Result<Request> request = fail(Error::Kind::unavailable, "closed");
        if (head && *head) {
            keep_alive = (*head)->keep_alive;
            request = co_await self->receive(*connection, std::move(**head));
        } else if (!head) {
            request = std::unexpected(head.error());
        }
        connection->deadline.cancel();
        if (!request) {
            if (request.error().kind == Error::Kind::invalid) co_await refuse(connection, request.error());
            break;
        }
        Response response = co_await self->answer(std::move(*request));
        if (!response.stream) Connection::arm(connection, self->limits.answer_timeout);
        Result<> sent = co_await send(connection, std::move(response), keep_alive);
        connection->deadline.cancel();
        if (!sent) break;
    }
    connection->close();
    self->open.erase(connection);
}

}  // namespace havn::rpc
