#include "rpc/reader.h"

#include <array>

namespace havn::rpc {

namespace {

constexpr std::size_t head_bytes_max = 64u << 10;
constexpr std::size_t header_count_max = 64;

std::unexpected<Error> refused(http1::Rule rule) {
    return fail(Error::Kind::invalid, "not HTTP/1.1: " + std::string(http1::row(rule).text));
}

}  // namespace

io::Task<Result<bool>> Reader::fill() {
    const std::size_t before = buffer_.size();
    buffer_.resize(before + (64u << 10));
    auto [error, size] = co_await socket_.async_read_some(
        io::asio::buffer(buffer_.data() + before, buffer_.size() - before), io::result);
    buffer_.resize(before + size);
    if (error == io::asio::error::eof) co_return false;
    if (error) co_return fail_errno("read", error.value());
    co_return true;
}

std::string Reader::take(std::size_t bytes) {
    std::string taken = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return taken;
}

void Reader::expect(const http1::Framing& framing) {
    framing_ = framing;
    left_ = framing.length;
    chunked_ = {};
}

namespace {

Result<bool> head_is_whole(const http1::Parsed& parsed, std::size_t received) {
    if (parsed.progress == http1::Progress::malformed) return refused(parsed.rule);
    if (parsed.progress == http1::Progress::complete) return true;
    if (received > head_bytes_max) return fail(Error::Kind::invalid, "the head is longer than 64 KiB");
    return false;
}

}  // namespace

Result<std::optional<Head>> Reader::try_request_head() {
    std::array<http1::Header, header_count_max> storage;
    http1::RequestHead parsed;
    const http1::Parsed progress = http1::parse_request_head(buffer_, storage, parsed);
    Result<bool> whole = head_is_whole(progress, buffer_.size());
    if (!whole) return std::unexpected(whole.error());
    if (!*whole) return std::optional<Head>();
    const auto facts = http1::inspect(parsed);
    if (!facts) return refused(facts.error());
    Head head{.method = std::string(parsed.method_text),
              .target = std::string(facts->path),
              .keep_alive = facts->keep_alive,
              .expects_continue = facts->expects_continue};
    expect(facts->body);
    buffer_.erase(0, progress.bytes);
    return std::optional<Head>(std::move(head));
}

Result<std::optional<Head>> Reader::try_response_head() {
    std::array<http1::Header, header_count_max> storage;
    http1::ResponseHead parsed;
    const http1::Parsed progress = http1::parse_response_head(buffer_, storage, parsed);
    Result<bool> whole = head_is_whole(progress, buffer_.size());
    if (!whole) return std::unexpected(whole.error());
    if (!*whole) return std::optional<Head>();
    const auto facts = http1::inspect(parsed, http1::Method::get);
    if (!facts) return refused(facts.error());
    Head head{.method = {}, .target = {}, .status = parsed.status, .keep_alive = facts->keep_alive};
    expect(facts->body);
    buffer_.erase(0, progress.bytes);
    return std::optional<Head>(std::move(head));
}

io::Task<Result<std::optional<Head>>> Reader::request_head() {
    for (;;) {
        if (!buffer_.empty()) {
            Result<std::optional<Head>> head = try_request_head();
            if (!head || *head) co_return head;
        }
        Result<bool> more = co_await fill();
        if (!more) co_return std::unexpected(more.error());
        if (*more) continue;
        if (buffer_.empty()) co_return std::optional<Head>();
        co_return fail(Error::Kind::unavailable, "closed within a request's head");
    }
}

io::Task<Result<Head>> Reader::response_head() {
    for (;;) {
        Result<std::optional<Head>> head = std::optional<Head>();
        if (!buffer_.empty()) head = try_response_head();
        if (!head) co_return std::unexpected(head.error());
        if (*head && (*head)->status >= 200) co_return std::move(**head);
        if (*head) continue;  // an interim response: the real one follows
        Result<bool> more = co_await fill();
        if (!more) co_return std::unexpected(more.error());
        if (!*more) co_return fail(Error::Kind::unavailable, "closed before it answered");
    }
}

Result<std::optional<std::string>> Reader::try_piece() {
    using Kind = http1::Framing::Kind;
    using Event = http1::ChunkedDecoder::Event;
    if (framing_.kind == Kind::none || (framing_.kind == Kind::length && left_ == 0)) {
        return std::optional<std::string>(std::in_place);
    }
    if (framing_.kind != Kind::chunked) {
        if (buffer_.empty()) return std::optional<std::string>();
        const bool bounded = framing_.kind == Kind::length;
        const std::uint64_t size = bounded ? std::min<std::uint64_t>(left_, buffer_.size()) : buffer_.size();
        left_ -= bounded ? size : 0;
        return std::optional<std::string>(take(static_cast<std::size_t>(size)));
    }
    if (chunked_.finished()) return std::optional<std::string>(std::in_place);
    for (;;) {
        const http1::ChunkedDecoder::Step step = chunked_.next(buffer_);
        if (step.event == Event::malformed) return refused(step.rule);
        std::string data(step.data);
        buffer_.erase(0, step.eaten);
        if (step.event == Event::data) return std::optional<std::string>(std::move(data));
        if (step.event == Event::end) return std::optional<std::string>(std::in_place);
        if (step.event == Event::need_more) return std::optional<std::string>();
    }
}

io::Task<Result<std::string>> Reader::piece() {
    for (;;) {
        Result<std::optional<std::string>> piece = try_piece();
        if (!piece) co_return std::unexpected(piece.error());
        if (*piece) co_return std::move(**piece);
        Result<bool> more = co_await fill();
        if (!more) co_return std::unexpected(more.error());
        if (*more) continue;
        if (framing_.kind == http1::Framing::Kind::until_close) co_return std::string();
        co_return fail(Error::Kind::unavailable, "closed within a body");
    }
}

io::Task<Result<std::string>> Reader::body(std::size_t bytes_max) {
    const std::string too_large = fmt::format("a body of more than {} bytes", bytes_max);
    if (framing_.length > bytes_max) co_return fail(Error::Kind::invalid, too_large);
    std::string whole;
    for (;;) {
        Result<std::string> next = co_await piece();
        if (!next) co_return std::unexpected(next.error());
        if (next->empty()) co_return whole;
        whole += *next;
        if (whole.size() > bytes_max) co_return fail(Error::Kind::invalid, too_large);
    }
}

}  // namespace havn::rpc
