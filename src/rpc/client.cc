#include "rpc/client.h"

#include "io/clock.h"
#include "io/net.h"
#include "rpc/reader.h"

namespace havn::rpc {

namespace {

constexpr std::size_t answer_bytes_max = 256u << 20;
constexpr std::size_t line_bytes_max = 16u << 20;

}  // namespace

// One request's connection. Its deadline closes the socket, which ends whatever waits on it.
struct LineReader::State {
    explicit State(io::StreamSocket connected)
        : socket(std::make_shared<io::StreamSocket>(std::move(connected))),
          reader(*socket),
          deadline(socket->get_executor()) {}
    ~State() { deadline.cancel(); }

    void arm(Time at) {
        deadline.expires_at(at);
        deadline.async_wait([closing = socket](io::ErrorCode error) {
            if (!error) closing->close(error);
        });
    }

    std::shared_ptr<io::StreamSocket> socket;
    Reader reader;
    io::Timer deadline;
    std::string unread;  // received, not yet a whole line
    int status = 0;
};

using State = LineReader::State;

namespace {

Error unanswered(const std::string& address, const Error& cause) {
    if (cause.kind == Error::Kind::invalid) return {cause.kind, address + ": " + cause.message, {}};
    return {Error::Kind::unavailable, address + ": no answer", {}};
}

// Sends the request and reads the answer's head. The deadline stays armed.
Task<Result<std::unique_ptr<State>>> start(std::string address, std::string method, std::string target,
                                           Json body, Duration timeout) {
    const Time deadline = io::now() + timeout;
    Result<io::StreamSocket> socket = co_await io::connect_to(address, timeout);
    if (!socket) {
        Error cause = socket.error();
        if (cause.kind == Error::Kind::not_found) {
            cause.kind = Error::Kind::unavailable;  // no socket file yet
        }
        co_return std::unexpected(std::move(cause));
    }
    auto state = std::make_unique<State>(std::move(*socket));
    state->arm(deadline);
    const std::string content =
        body.is_null() ? "" : body.dump(-1, ' ', false, Json::error_handler_t::replace);
    std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: havn\r\nConnection: close\r\n", method, target);
    if (!body.is_null()) text += "Content-Type: application/json\r\n";
    text += fmt::format("Content-Length: {}\r\n\r\n{}", content.size(), content);
    [[maybe_unused]] auto sent =
        co_await io::asio::async_write(*state->socket, io::asio::buffer(text), io::result);
    // A refused request may be answered before it was read whole: the answer says more than the failed write.
    Result<Head> head = co_await state->reader.response_head();
    if (!head) co_return std::unexpected(unanswered(address, head.error()));
    state->status = head->status;
    co_return state;
}

}  // namespace

Task<Result<std::string>> Client::text(std::string method, std::string target, Json body, Duration timeout) {
    Result<std::unique_ptr<State>> state =
        co_await start(address_, std::move(method), std::move(target), std::move(body), timeout);
    if (!state) co_return std::unexpected(state.error());
    Result<std::string> answer = co_await (*state)->reader.body(answer_bytes_max);
    if (!answer) co_return std::unexpected(unanswered(address_, answer.error()));
    if ((*state)->status >= 300) co_return std::unexpected(error_from((*state)->status, *answer));
    co_return answer;
}

Task<Result<Json>> Client::request(std::string method, std::string target, Json body, Duration timeout) {
    Result<std::string> answer =
        co_await text(std::move(method), std::move(target), std::move(body), timeout);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->empty()) co_return Json::object();
    co_return parse_json(*answer);
}

Task<Result<LineReader>> Client::stream(std::string method, std::string target, Json body, Duration timeout) {
    Result<std::unique_ptr<State>> state =
        co_await start(address_, std::move(method), std::move(target), std::move(body), timeout);
    if (!state) co_return std::unexpected(state.error());
    if ((*state)->status >= 300) {
        Result<std::string> answer = co_await (*state)->reader.body(answer_bytes_max);
        if (!answer) co_return std::unexpected(unanswered(address_, answer.error()));
        co_return std::unexpected(error_from((*state)->status, *answer));
    }
    (*state)->deadline.cancel();
    co_return LineReader(std::move(*state));
}

LineReader::LineReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineReader::LineReader(LineReader&&) noexcept = default;
LineReader::~LineReader() = default;

void LineReader::close() {
    io::ErrorCode ignored;
    state_->socket->close(ignored);
}

Task<Result<std::optional<Json>>> LineReader::next(Duration limit) {
    std::string& unread = state_->unread;
    const Time until = limit == Duration::max() ? Time::max() : io::now() + limit;
    if (until != Time::max()) state_->arm(until);
    for (;;) {
        if (const std::size_t end = unread.find('\n'); end != std::string::npos) {
            Result<Json> line = parse_json(std::string_view(unread).substr(0, end));
            unread.erase(0, end + 1);
            if (!line) co_return std::unexpected(line.error());
            co_return std::optional<Json>(std::move(*line));
        }
        if (unread.size() > line_bytes_max) co_return fail(Error::Kind::invalid, "a line without end");
        Result<std::string> piece = co_await state_->reader.piece();
        if (!piece && io::now() >= until) {
            co_return fail(Error::Kind::unavailable, fmt::format("no word for {} s", limit / seconds(1)));
        }
        if (!piece) co_return std::unexpected(piece.error());
        if (piece->empty()) co_return std::optional<Json>();
        unread += *piece;
    }
}

}  // namespace havn::rpc
