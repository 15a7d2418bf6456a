#include "gateway/core/http1/http1_downstream.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "gateway/core/http1/forward.h"
#include "gateway/core/http1/http1_connection.h"

namespace havn::gateway {
namespace {

using Kind = http1::Framing::Kind;

constexpr http1::Framing endless{Kind::until_close, 0};

constexpr std::size_t joined_bytes_max = 4096;        // a piece this small is sent in one with its head
constexpr std::uint64_t discarded_bytes_max = 65536;  // of an unread body, to keep the connection

}  // namespace

Transport& Http1Downstream::transport() const {
    return connection_->transport();
}

void Http1Downstream::reset() {
    connection_ = nullptr;
    request_ = {};
    in_.reset();
    body_in_.reset();
    decoder_ = {};
    encoder_ = {};
    head_out_.reset();
    unsent_.clear();
    body_rule_ = http1::Rule::none;
    ending_ = Ending::keep;
    tunnelling_ = false;
}

// ---- the request

void Http1Downstream::start(Http1Connection& connection, BufferPtr in) {
    connection_ = &connection;
    in_ = std::move(in);
    request_.own_id = environment_.ids.next(environment_.clock.wall());
    request_.id = request_.own_id.view();
    request_.client = connection.address();
    request_.trusted = connection.trusted();
    request_.service = connection.service();
}

std::expected<void, http1::Rule> Http1Downstream::begin(Http1Connection& connection, BufferPtr in,
                                                        const http1::RequestHead& head,
                                                        std::size_t head_bytes) {
    start(connection, std::move(in));
    request_.raw = in_->text().substr(0, head_bytes);
    in_->begin += head_bytes;
    headers_.assign(head.headers.begin(), head.headers.end());
    request_.head = head;
    request_.head.headers = headers_;
    const std::string_view brought = brought_request_id(headers_);
    if (!brought.empty()) request_.id = brought;
    const std::expected<http1::RequestFacts, http1::Rule> facts = http1::inspect(request_.head);
    if (!facts) {
        note_known(request_.head);
        decoder_ = BodyDecoder(endless);  // nobody can tell where it ends
        return std::unexpected(facts.error());
    }
    request_.facts = *facts;
    decoder_ = BodyDecoder(facts->body);
    const bool may_switch = http1::equal_ignoring_case(facts->upgrade, "websocket") && decoder_.done();
    if (!may_switch) request_.facts.upgrade = {};
    return {};
}

void Http1Downstream::begin_unreadable(Http1Connection& connection, BufferPtr in) {
    start(connection, std::move(in));
    decoder_ = BodyDecoder(endless);
    http1::RequestHead head;
    if (in_) http1::parse_request_head(in_->text(), environment_.settings.header_storage(), head);
    note_known(head);
}

// For log and answer: what could be read of a request that is refused.
void Http1Downstream::note_known(const http1::RequestHead& head) {
    request_.head.method = head.method;
    request_.head.method_text = head.method_text;
    request_.head.target = head.target;
    for (const http1::Header& header : head.headers) {
        if (header.field == http1::Field::host && request_.facts.host.empty()) {
            request_.facts.host = header.value;
        }
    }
    const std::string_view brought = brought_request_id(head.headers);
    if (!brought.empty()) request_.id = brought;
}

// The next piece of the body: from what came with the head, then from the connection.
Downstream::Body Http1Downstream::read_body(Piece& piece) {
    Buffer* from = in_.get();
    if (in_->size() > 0) {
        if (decoder_.framing().kind == Kind::chunked) {  // to frame it anew would write over the head
            body_in_ = environment_.buffers.take(in_->size());
            body_in_->append(in_->text());
            in_->begin = in_->end;
            from = body_in_.get();
        }
    } else {
        if (const Body received = receive_body(); received != Body::piece) return received;
        from = body_in_.get();
    }
    const BodyDecoder::Decoded decoded = decoder_.decode(from->first(), from->size());
    from->begin += decoded.eaten;
    if (decoded.rule == http1::Rule::none) {
        piece = {.bytes = decoded.payload, .in = from, .last = decoder_.done()};
        return Body::piece;
    }
    decoder_ = BodyDecoder(endless);
    body_rule_ = decoded.rule;
    return Body::refused;
}

// piece: body_in_ holds what the connection had.
Downstream::Body Http1Downstream::receive_body() {
    if (!transport().readable()) {
        body_in_.reset();
        return Body::wait;
    }
    if (!body_in_) body_in_ = environment_.buffers.take();
    body_in_->clear();
    const Transport::Received received = transport().receive(body_in_->space(), body_in_->space_size());
    switch (received.status) {
        case Transport::Status::ok:
            body_in_->end += received.size;
            return Body::piece;
        case Transport::Status::blocked:
            body_in_.reset();
            return Body::wait;
        case Transport::Status::closed:
            return tunnelling_ ? Body::half_closed : Body::gone;
        case Transport::Status::failed:
            return Body::gone;
    }
    return Body::gone;
}

void Http1Downstream::release_body() {
    if (body_in_ && body_in_->size() == 0) body_in_.reset();  // else a further request follows
}

Downstream::Body Http1Downstream::discard_body() {
    if (ending_ != Ending::keep) return Body::piece;
    Piece unread;
    while (!decoder_.done()) {
        if (const Body read = read_body(unread); read != Body::piece) return read;
    }
    return Body::piece;
}

// ---- the response

bool Http1Downstream::write_head(const Response& response, bool chunked, bool upgrade) {
    const std::string_view rest = unsent_.head;  // of an interim response that the client has a part of
    const bool is_final = upgrade || response.head->status >= 200;
    BufferPtr buffer =
        rest.empty()
            ? environment_.buffers.take()
            : environment_.buffers.take(rest.size() + response.raw.size() + BufferPool::own_fields_bytes);
    buffer->append(rest);
    http1::SpanWriter writer({buffer->space(), buffer->space_size()});
    const bool fits =
        write_client_head(writer, {.head = *response.head,
                                   .facts = *response.facts,
                                   .raw = response.raw,
                                   .method = request_.head.method,
                                   .chunked = chunked,
                                   .close = is_final && !upgrade && ending_ != Ending::keep,
                                   .keep_alive_1_0 = is_final && !upgrade && request_.head.minor == 0,
                                   .upgrade = upgrade,
                                   .request_id = is_final ? request_.id : std::string_view()});
    if (!fits) return false;
    buffer->end += writer.size();
    unsent_.head = buffer->text();
    head_out_ = std::move(buffer);
    return true;
}

bool Http1Downstream::send_interim(const Response& response) {
    return write_head(response, false, false);
}

bool Http1Downstream::send_head(const Response& response) {
    const Kind kind = response.facts->body.kind;
    const bool unbounded = kind == Kind::chunked || kind == Kind::until_close;
    const bool chunked = unbounded && request_.head.minor == 1;
    const bool rest_is_read = response.own ? is_rest_small() : decoder_.done();
    ending_ = Ending::keep;
    if (!request_.facts.keep_alive || !rest_is_read || environment_.settings.stopping()) {
        ending_ = Ending::close;
    }
    if (unbounded && !chunked) ending_ = Ending::close_or_reset;
    encoder_ = BodyEncoder(chunked ? BodyEncoder::Coding::chunked : BodyEncoder::Coding::identity);
    return write_head(response, chunked, false);
}

// Small enough to be read and dropped. A client that waits to be asked for its body will not send it.
bool Http1Downstream::is_rest_small() const {
    const http1::Framing& body = decoder_.framing();
    return decoder_.done() || (body.kind == Kind::length && !request_.facts.expects_continue &&
                               body.length - decoder_.payload_bytes() <= discarded_bytes_max);
}

bool Http1Downstream::switch_protocols(const Response& response) {
    if (!write_head(response, false, true)) return false;
    ending_ = Ending::close;
    tunnelling_ = true;
    decoder_ = BodyDecoder(endless);
    encoder_ = {};
    return true;
}

void Http1Downstream::send_body(const Piece& piece) {
    const std::string_view framed = encoder_.encode(piece);
    unsent_.body = framed;
    if (!unsent_.head.empty() && framed.size() <= std::min(joined_bytes_max, head_out_->space_size())) {
        head_out_->append(framed);
        unsent_ = {.head = {unsent_.head.data(), unsent_.head.size() + framed.size()}, .body = {}};
    }
    if (tunnelling_ && piece.last) transport().shutdown_write();
}

Flushed Http1Downstream::flush() {
    if (!transport().writable()) return {.status = Flushed::Status::blocked};
    const std::size_t before = unsent_.size();
    const Transport::Status status = transport().send(unsent_);
    const bool moved = unsent_.size() < before;
    if (status == Transport::Status::blocked) return {Flushed::Status::blocked, moved};
    if (status != Transport::Status::ok) return {Flushed::Status::failed, moved};
    head_out_.reset();
    return {Flushed::Status::done, moved};
}

void Http1Downstream::drop_unsent() {
    unsent_.clear();
    head_out_.reset();
}

// Unread bytes at a close would make the kernel reset the connection, and with it the answer: whoever may
// still be sending is given time to read it first.
void Http1Downstream::finish(End end) {
    using After = Http1Connection::After;
    After after = After::close;
    if (end == End::early) {
        after = After::linger;
    } else if (end == End::complete && ending_ == Ending::keep) {
        after = After::keep;
    } else if (end == End::cut && ending_ == Ending::close_or_reset) {
        after = After::reset;
    }
    BufferPtr rest;
    if (body_in_ && body_in_->size() > 0) {
        rest = std::move(body_in_);
    } else if (in_ && in_->size() > 0) {
        rest = std::move(in_);
    }
    if (after == After::close && (rest || transport().readable())) after = After::linger;
    connection_->transaction_over(after, std::move(rest));
}

void Http1Downstream::drive() {
    connection_->drive();
}

void Http1Downstream::drive_later() {
    connection_->drive_later();
}

}  // namespace havn::gateway
