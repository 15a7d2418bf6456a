// Bytes in both directions between client and upstream.
#include <cstring>

#include "gateway/core/forward.h"
#include "gateway/shell/exchange.h"
#include "gateway/shell/worker.h"

namespace havn::gateway {

using Kind = http1::Framing::Kind;

// A body piece this small is sent in one piece with its head.
static constexpr std::size_t joined_bytes_max = 4096;

// Pieces relayed in one direction before others have their turn.
static constexpr int pieces_max = 16;

void Exchange::relay() {
    upload();
    if (phase_ == Phase::relaying || phase_ == Phase::tunnelling) download();
}

void Exchange::upload() {
    for (int pieces = 0; !upload_over_ && upstream_; ++pieces) {
        if (pieces == pieces_max) return worker_.drive_later(*client_);
        if (!up_.empty()) {
            if (!upstream_->socket.writable()) return;
            bytes_sent_ = true;
            const Socket::Status status = upstream_->socket.send(up_);
            if (status == Socket::Status::blocked) return;
            if (status == Socket::Status::failed) {
                // It may have answered before it hung up: reading tells.
                upload_over_ = true;
                up_.clear();
                upstream_->socket.note(EPOLLHUP);
                return;
            }
        }
        up_head_.reset();
        if (request_body_.done()) {
            upload_over_ = upload_complete_ = true;
            if (body_in_ && body_read_on_ && body_in_->size() == 0) body_in_.reset();
            return;
        }
        if (take_body_piece(up_.body) != Take::piece) return;
    }
}

// The next piece of the request's body, re-framed: from what came with the head, then from the socket.
Exchange::Take Exchange::take_body_piece(std::string_view& piece) {
    Buffer* from = in_.get();
    if (in_->size() > 0) {
        if (request_body_.received().kind == Kind::chunked) {  // re-framing would write over the head
            body_in_ = worker_.buffers().take();
            std::memcpy(body_in_->space(), in_->first(), in_->size());
            body_in_->end += in_->size();
            in_->begin = in_->end;
            from = body_in_.get();
        }
    } else {
        Socket& socket = client_->socket;
        if (!socket.readable()) {
            if (body_in_) body_in_.reset();
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
            return Take::ended;
        }
        if (received.status != Socket::Status::ok) {
            client_lost();
            return Take::ended;
        }
        body_read_on_ = true;
        body_in_->end += received.size;
        from = body_in_.get();
    }
    const Body::Piece rewritten = request_body_.rewrite(from->first(), from->size());
    from->begin += rewritten.eaten;
    piece = rewritten.send;
    if (rewritten.rule == http1::Rule::none) return Take::piece;
    worker_.metrics().bad_requests.add();
    request_body_ = Body({Kind::until_close, 0}, Body::Coding::identity);
    if (response_begun_) {
        cut();
    } else {
        answer_error(http1::row(rewritten.rule).status, "refused", http1::row(rewritten.rule).text);
    }
    return Take::ended;
}

void Exchange::download() {
    for (int pieces = 0; phase_ == Phase::relaying || phase_ == Phase::tunnelling; ++pieces) {
        if (pieces == pieces_max) return worker_.drive_later(*client_);
        if (!down_.empty()) {
            if (!client_->socket.writable()) return;
            client_served_ = true;
            const Socket::Status status = client_->socket.send(down_);
            if (status == Socket::Status::blocked) return;
            if (status == Socket::Status::failed) return client_lost();
        }
        down_head_.reset();
        if (response_begun_ && response_body_.done()) {
            if (phase_ == Phase::tunnelling && !upload_over_) return;
            const bool nothing_over = !down_in_ || down_in_->size() == 0;
            const bool complete = upload_complete_;
            give_up_attempt(upstream_keep_alive_ && complete && nothing_over &&
                            !upstream_->socket.peer_finished());
            if (!complete) return finish(Client::After::linger);
            return finish(close_after_ ? Client::After::close : Client::After::keep);
        }
        const bool unread = down_in_ && down_in_->size() > 0;  // behind an interim response
        if (unread && !response_begun_ && read_response_head()) continue;
        if (!receive_response()) return;
    }
}

// False: nothing to read now.
bool Exchange::receive_response() {
    Socket& socket = upstream_->socket;
    if (!socket.readable()) {
        if (down_in_ && down_in_->size() == 0) down_in_.reset();
        return false;
    }
    if (!down_in_) down_in_ = worker_.buffers().take();
    if (response_begun_) down_in_->clear();
    const Socket::Received received = socket.receive(down_in_->space(), down_in_->space_size());
    switch (received.status) {
        case Socket::Status::ok:
            down_in_->end += received.size;
            if (response_begun_) {
                forward_body();
            } else {
                read_response_head();
            }
            return true;
        case Socket::Status::blocked:
            if (down_in_->size() == 0) down_in_.reset();
            return false;
        case Socket::Status::closed:
        case Socket::Status::failed:
            upstream_ended(received.status == Socket::Status::closed);
            return true;
    }
    return false;
}

void Exchange::upstream_ended(bool orderly) {
    if (phase_ == Phase::tunnelling) {
        std::string_view nothing;
        response_body_.finish(nothing);
        client_->socket.shutdown_write();
        if (!orderly) upload_over_ = true;
        return;
    }
    if (!response_begun_) return attempt_failed(Failure::closed);
    upstream_keep_alive_ = false;
    if (orderly && response_body_.finish(down_.body)) return;
    entry_->service->metrics->broken_responses.add();
    note_failure(*endpoint_, entry_->service->health(), worker_.now());
    cause_ = "cut";
    cut();
}

// True when a head was read, interim or final; false when more is needed or the attempt failed.
bool Exchange::read_response_head() {
    http1::ResponseHead head;
    const http1::Parsed parsed = http1::parse_response_head(down_in_->text(), worker_.header_storage(), head);
    if (parsed.progress == http1::Progress::need_more && !down_in_->full()) return false;
    std::expected<http1::ResponseFacts, http1::Rule> facts = std::unexpected(http1::Rule::none);
    if (parsed.progress == http1::Progress::complete) facts = http1::inspect(head, head_.method);
    if (!facts) {
        attempt_failed(Failure::malformed);
        return false;
    }
    const std::string_view raw = down_in_->text().substr(0, parsed.bytes);
    down_in_->begin += parsed.bytes;
    bool written = true;
    if (head.status == 101) {
        written = begin_tunnel(head, *facts, raw);
    } else if (head.status < 200) {
        written = forward_interim(head, raw);
    } else {
        written = forward_head(head, *facts, raw);
    }
    if (!written) attempt_failed(Failure::malformed);
    return written;
}

// 1xx: to a 1.1 client, and 100 only to one that asked for it. RFC 9110 §15.2.
bool Exchange::forward_interim(const http1::ResponseHead& head, std::string_view raw) {
    if (head_.minor == 0 || (head.status == 100 && !facts_.expects_continue)) return true;
    if (!down_head_) down_head_ = worker_.buffers().take();
    http1::SpanWriter writer({down_head_->space(), down_head_->space_size()});
    if (!write_client_head(writer, {.head = head, .facts = {}, .raw = raw, .method = head_.method}))
        return false;
    down_.head = writer.text();
    return true;
}

bool Exchange::forward_head(const http1::ResponseHead& head, http1::ResponseFacts facts,
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

    down_head_ = worker_.buffers().take();
    http1::SpanWriter writer({down_head_->first(), down_head_->space_size()});
    if (!write_client_head(writer, {.head = head,
                                    .facts = facts,
                                    .raw = raw,
                                    .method = head_.method,
                                    .chunked = chunked,
                                    .close = close_after_,
                                    .keep_alive_1_0 = head_.minor == 0})) {
        return false;
    }
    down_.head = writer.text();
    down_head_->end += writer.size();
    response_begun_ = true;
    note_success(*endpoint_);
    return forward_body();
}

bool Exchange::begin_tunnel(const http1::ResponseHead& head, const http1::ResponseFacts& facts,
                            std::string_view raw) {
    if (facts_.upgrade.empty() || !http1::equal_ignoring_case(facts.upgrade, facts_.upgrade)) return false;
    down_head_ = worker_.buffers().take();
    http1::SpanWriter writer({down_head_->first(), down_head_->space_size()});
    if (!write_client_head(
            writer, {.head = head, .facts = facts, .raw = raw, .method = head_.method, .upgrade = true})) {
        return false;
    }
    down_.head = writer.text();
    down_head_->end += writer.size();
    status_ = 101;
    phase_ = Phase::tunnelling;
    response_begun_ = close_after_ = true;
    upload_over_ = upload_complete_ = false;
    request_body_ = response_body_ = Body({Kind::until_close, 0}, Body::Coding::identity);
    worker_.deadlines().clear(*this);
    for (const int fd : {client_->socket.fd(), upstream_->socket.fd()}) {
        const int on = 1;  // nothing else tells of a peer that vanished
        ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    note_success(*endpoint_);
    return forward_body();
}

bool Exchange::forward_body() {
    if (response_body_.done() || down_in_->size() == 0) return true;
    const Body::Piece piece = response_body_.rewrite(down_in_->first(), down_in_->size());
    down_in_->begin += piece.eaten;
    if (piece.rule != http1::Rule::none) {
        entry_->service->metrics->broken_responses.add();
        note_failure(*endpoint_, entry_->service->health(), worker_.now());
        cause_ = "cut";
        cut();
        return true;
    }
    down_.body = piece.send;
    if (!down_.head.empty() && piece.send.size() <= std::min(joined_bytes_max, down_head_->space_size())) {
        std::memcpy(down_head_->space(), piece.send.data(), piece.send.size());
        down_.head = {down_.head.data(), down_.head.size() + piece.send.size()};
        down_.body = {};
    }
    return true;
}

}  // namespace havn::gateway
