// Bytes in both directions between client and upstream.
#include <cstring>

#include "gateway/core/http1/forward.h"
#include "gateway/shell/exchange.h"
#include "gateway/shell/worker.h"

namespace havn::gateway {

using Kind = http1::Framing::Kind;

// A body piece this small is sent in one piece with its head.
static constexpr std::size_t joined_bytes_max = 4096;

// Pieces relayed in each direction before others have their turn.
static constexpr int relay_rounds_max = 16;

// Goes on while either direction moves: what one of them does may be what the other waited for.
void Exchange::relay() {
    for (int rounds = 0; phase_ == Phase::relaying || phase_ == Phase::tunnelling; ++rounds) {
        if (rounds == relay_rounds_max) return worker_.drive_later(*client_);
        const Step up = upload();
        if (up > Step::waiting) {
            conclude(up);
            continue;
        }
        const Step down = download();
        if (down > Step::waiting) {
            conclude(down);
            continue;
        }
        if (up == Step::waiting && down == Step::waiting) return;
    }
}

// Ends what a step found to be over. Afterwards another attempt may be under way.
void Exchange::conclude(Step step) {
    switch (step) {
        case Step::moved:
        case Step::waiting:
            return;
        case Step::complete:
            return complete_response();
        case Step::client_gone:
            return client_lost();
        case Step::body_refused:
            return body_stopped(Take::refused);
        case Step::closed:
            return attempt_failed(Failure::closed);
        case Step::malformed:
            return attempt_failed(Failure::malformed);
        case Step::babble:
            return attempt_failed(Failure::interim);
        case Step::broken:
            entry_->service->metrics->broken_responses.add();
            endpoint_->attempt_failed(worker_.now());
            cause_ = "cut";
            return cut();
    }
}

void Exchange::complete_response() {
    const bool nothing_over = !down_in_ || down_in_->size() == 0;
    give_up_attempt(upstream_keep_alive_ && upload_complete_ && nothing_over &&
                    !upstream_->socket.peer_finished());
    if (!upload_complete_) return finish(Client::After::linger);
    finish(close_after_ ? Client::After::close : Client::After::keep);
}

Socket::Status Exchange::send(Socket& socket, Outgoing& outgoing) {
    const std::size_t before = outgoing.size();
    const Socket::Status status = socket.send(outgoing);
    if (outgoing.size() < before) progressed_ = worker_.now();
    return status;
}

Exchange::Step Exchange::upload() {
    if (upload_over_) return Step::waiting;
    if (!up_.empty()) {
        if (!upstream_->socket.writable()) return Step::waiting;
        bytes_sent_ = true;
        const Socket::Status status = send(upstream_->socket, up_);
        if (status == Socket::Status::blocked) return Step::waiting;
        if (status == Socket::Status::failed) {
            // It may have answered before it hung up: reading tells.
            upload_over_ = true;
            up_.clear();
            upstream_->socket.note(EPOLLHUP);
            return Step::moved;
        }
    }
    up_head_.reset();
    if (request_body_.done()) {
        upload_over_ = upload_complete_ = true;
        if (body_in_ && body_read_on_ && body_in_->size() == 0) body_in_.reset();
        return Step::moved;
    }
    switch (take_body_piece(up_.body)) {
        case Take::piece:
        case Take::half_closed:
            return Step::moved;
        case Take::wait:
            return Step::waiting;
        case Take::client_gone:
            return Step::client_gone;
        case Take::refused:
            return Step::body_refused;
    }
    return Step::waiting;
}

// The next piece of the request's body, re-framed: from what came with the head, then from the socket.
Exchange::Take Exchange::take_body_piece(std::string_view& piece) {
    Buffer* from = in_.get();
    if (in_->size() > 0) {
        if (request_body_.received().kind == Kind::chunked) {  // re-framing would write over the head
            body_in_ = worker_.buffers().take(in_->size());
            std::memcpy(body_in_->space(), in_->first(), in_->size());
            body_in_->end += in_->size();
            in_->begin = in_->end;
            from = body_in_.get();
        }
    } else {
        if (const Take received = receive_body(); received != Take::piece) return received;
        from = body_in_.get();
    }
    const Body::Piece rewritten = request_body_.rewrite(from->first(), from->size());
    from->begin += rewritten.eaten;
    if (rewritten.rule == http1::Rule::none) {
        piece = rewritten.send;
        return Take::piece;
    }
    worker_.metrics().bad_requests.add();
    request_body_ = Body({Kind::until_close, 0}, Body::Coding::identity);
    body_rule_ = rewritten.rule;
    return Take::refused;
}

// piece: body_in_ holds what the client's socket had.
Exchange::Take Exchange::receive_body() {
    Socket& socket = client_->socket;
    if (!socket.readable()) {
        body_in_.reset();
        return Take::wait;
    }
    if (!body_in_) body_in_ = worker_.buffers().take();
    body_in_->clear();
    const Socket::Received received = socket.receive(body_in_->space(), body_in_->space_size());
    if (received.status == Socket::Status::blocked) {
        body_in_.reset();
        return Take::wait;
    }
    if (received.status == Socket::Status::closed && phase_ == Phase::tunnelling) {
        upload_over_ = true;
        upstream_->socket.shutdown_write();
        return Take::half_closed;
    }
    if (received.status != Socket::Status::ok) return Take::client_gone;
    body_read_on_ = true;
    progressed_ = worker_.now();
    body_in_->end += received.size;
    return Take::piece;
}

// Ends the exchange when the client's body can be read no further.
void Exchange::body_stopped(Take taken) {
    if (taken == Take::client_gone) return client_lost();
    if (taken != Take::refused) return;
    if (response_begun_) return cut();
    answer_error(http1::row(body_rule_).status, "refused", http1::row(body_rule_).text);
}

Exchange::Step Exchange::download() {
    if (!down_.empty()) {
        if (!client_->socket.writable()) return Step::waiting;
        client_served_ = true;
        const Socket::Status status = send(client_->socket, down_);
        if (status == Socket::Status::blocked) return Step::waiting;
        if (status == Socket::Status::failed) return Step::client_gone;
    }
    down_head_.reset();
    if (response_begun_ && response_body_.done()) {
        return phase_ == Phase::tunnelling && !upload_over_ ? Step::waiting : Step::complete;
    }
    if (!response_begun_ && down_in_ && down_in_->size() > 0) {  // behind an interim response
        if (const Step step = read_response_head(); step != Step::waiting) return step;
    }
    return receive_response();
}

Exchange::Step Exchange::receive_response() {
    Socket& socket = upstream_->socket;
    if (!socket.readable()) {
        if (down_in_ && down_in_->size() == 0) down_in_.reset();
        return Step::waiting;
    }
    if (!down_in_) down_in_ = worker_.buffers().take();
    if (response_begun_) down_in_->clear();
    const Socket::Received received = socket.receive(down_in_->space(), down_in_->space_size());
    switch (received.status) {
        case Socket::Status::ok: {
            progressed_ = worker_.now();
            down_in_->end += received.size;
            const Step step = response_begun_ ? forward_body() : read_response_head();
            return step == Step::waiting ? Step::moved : step;
        }
        case Socket::Status::blocked:
            if (down_in_->size() == 0) down_in_.reset();
            return Step::waiting;
        case Socket::Status::closed:
        case Socket::Status::failed:
            return upstream_ended(received.status == Socket::Status::closed);
    }
    return Step::waiting;
}

Exchange::Step Exchange::upstream_ended(bool orderly) {
    if (phase_ == Phase::tunnelling) {
        std::string_view nothing;
        response_body_.finish(nothing);
        client_->socket.shutdown_write();
        if (!orderly) upload_over_ = true;
        return Step::moved;
    }
    if (!response_begun_) return Step::closed;
    upstream_keep_alive_ = false;
    return orderly && response_body_.finish(down_.body) ? Step::moved : Step::broken;
}

// Reads one head, interim or final; waiting: more of it is needed, and there is room for more.
Exchange::Step Exchange::read_response_head() {
    http1::ResponseHead head;
    http1::Parsed parsed;
    if (arrival_.worth_parsing(down_in_->text())) {
        parsed = http1::parse_response_head(down_in_->text(), worker_.header_storage(), head);
    }
    if (parsed.progress == http1::Progress::need_more) {
        if (!down_in_->full()) return Step::waiting;
        if (down_in_->begin == Body::headroom) return Step::malformed;  // too large
        down_in_->compact();
        return Step::waiting;
    }
    if (parsed.progress == http1::Progress::malformed) return Step::malformed;
    const std::expected<http1::ResponseFacts, http1::Rule> facts = http1::inspect(head, head_.method);
    if (!facts) return Step::malformed;
    const std::string_view raw = down_in_->text().substr(0, parsed.bytes);
    down_in_->begin += parsed.bytes;
    arrival_.reset();
    if (head.status == 101) return begin_tunnel(head, *facts, raw);
    if (head.status < 200) return forward_interim(head, *facts, raw);
    return forward_head(head, *facts, raw);
}

// 1xx: to a 1.1 client, and 100 only to one that asked for it. RFC 9110 §15.2.
Exchange::Step Exchange::forward_interim(const http1::ResponseHead& head, const http1::ResponseFacts& facts,
                                         std::string_view raw) {
    if (++interims_ > interim_max) return Step::babble;
    if (head_.minor == 0 || (head.status == 100 && !facts_.expects_continue)) return Step::moved;
    if (!down_head_) down_head_ = worker_.buffers().take();
    http1::SpanWriter writer({down_head_->space(), down_head_->space_size()});
    if (!write_client_head(writer, {.head = head, .facts = facts, .raw = raw, .method = head_.method}))
        return Step::malformed;
    down_.head = writer.text();
    return Step::moved;
}

// Server-sent events: silent for as long as nothing happens. HTML §9.2.
static bool is_event_stream(const http1::ResponseHead& head) {
    constexpr std::string_view type = "text/event-stream";
    for (const http1::Header& header : head.headers) {
        if (header.field != http1::Field::content_type) continue;
        const std::string_view value = header.value.substr(0, header.value.find(';'));
        const std::size_t end = value.find_last_not_of(" \t");
        return http1::equal_ignoring_case(value.substr(0, end == value.npos ? 0 : end + 1), type);
    }
    return false;
}

Exchange::Step Exchange::forward_head(const http1::ResponseHead& head, http1::ResponseFacts facts,
                                      std::string_view raw) {
    status_ = head.status;
    upstream_keep_alive_ = facts.keep_alive;
    if (head.status == 205 && facts.body != http1::Framing{Kind::length, 0}) {
        facts.body = {};
        upstream_keep_alive_ = false;
    }
    const bool unbounded = facts.body.kind == Kind::chunked || facts.body.kind == Kind::until_close;
    const bool chunked = unbounded && head_.minor == 1;
    reset_on_cut_ = unbounded && !chunked;
    close_after_ = !facts_.keep_alive || reset_on_cut_ || !request_body_.done() || worker_.stopping();
    response_body_ = Body(facts.body, chunked ? Body::Coding::chunked : Body::Coding::identity);
    event_stream_ = unbounded && is_event_stream(head);
    if (event_stream_) probe_when_silent(upstream_->socket.fd());

    down_head_ = worker_.buffers().take();
    http1::SpanWriter writer({down_head_->first(), down_head_->space_size()});
    if (!write_client_head(writer, {.head = head,
                                    .facts = facts,
                                    .raw = raw,
                                    .method = head_.method,
                                    .chunked = chunked,
                                    .close = close_after_,
                                    .keep_alive_1_0 = head_.minor == 0,
                                    .request_id = request_id_})) {
        return Step::malformed;
    }
    down_.head = writer.text();
    down_head_->end += writer.size();
    if (forward_body() == Step::broken) {  // while nothing of the head was sent, it is refused as a whole
        down_.clear();
        return Step::malformed;
    }
    response_begun_ = true;
    endpoint_->answered();
    return Step::moved;
}

Exchange::Step Exchange::begin_tunnel(const http1::ResponseHead& head, const http1::ResponseFacts& facts,
                                      std::string_view raw) {
    if (facts_.upgrade.empty() || !http1::equal_ignoring_case(facts.upgrade, facts_.upgrade))
        return Step::malformed;
    down_head_ = worker_.buffers().take();
    http1::SpanWriter writer({down_head_->first(), down_head_->space_size()});
    if (!write_client_head(writer, {.head = head,
                                    .facts = facts,
                                    .raw = raw,
                                    .method = head_.method,
                                    .upgrade = true,
                                    .request_id = request_id_})) {
        return Step::malformed;
    }
    down_.head = writer.text();
    down_head_->end += writer.size();
    status_ = 101;
    phase_ = Phase::tunnelling;
    response_begun_ = close_after_ = true;
    upload_over_ = upload_complete_ = false;
    request_body_ = response_body_ = Body({Kind::until_close, 0}, Body::Coding::identity);
    guard();
    probe_when_silent(upstream_->socket.fd());
    endpoint_->answered();
    return forward_body();
}

Exchange::Step Exchange::forward_body() {
    if (response_body_.done() || down_in_->size() == 0) return Step::moved;
    const Body::Piece piece = response_body_.rewrite(down_in_->first(), down_in_->size());
    down_in_->begin += piece.eaten;
    if (piece.rule != http1::Rule::none) return Step::broken;
    down_.body = piece.send;
    if (!down_.head.empty() && piece.send.size() <= std::min(joined_bytes_max, down_head_->space_size())) {
        std::memcpy(down_head_->space(), piece.send.data(), piece.send.size());
        down_.head = {down_.head.data(), down_.head.size() + piece.send.size()};
        down_.body = {};
    }
    return Step::moved;
}

}  // namespace havn::gateway
