#include "gateway/core/http1/upstream_source.h"

#include <utility>

#include "gateway/core/http1/forward.h"
#include "gateway/core/own_answer.h"

namespace havn::gateway {

using Kind = http1::Framing::Kind;

// ---- attempts

Source::Begun UpstreamSource::begin(const Request& request, const RouteEntry& entry, bool repeatable,
                                    SourceUser& user) {
    asked_ = {.request = &request, .entry = &entry, .user = &user, .repeatable = repeatable};
    tried_.clear();
    address_.clear();
    interims_ = 0;
    failure_ = Failure::unavailable;
    const bool chunked = request.facts.body.kind == Kind::chunked;
    encoder_ = BodyEncoder(chunked ? BodyEncoder::Coding::chunked : BodyEncoder::Coding::identity);
    return pick_endpoint();
}

Source::Begun UpstreamSource::begin_again(Next next) {
    failure_ = Failure::unavailable;
    if (next == Next::same_endpoint && endpoint_ && !endpoint_->removed()) {
        Endpoint& endpoint = *endpoint_;
        endpoint.request_ends();  // try_endpoint() counts it anew
        endpoint_ = nullptr;
        if (const Begun begun = try_endpoint(endpoint, true); begun != Begun::failed) return begun;
    }
    leave_endpoint();
    asked_.entry->cluster->metrics->retries.add();
    return pick_endpoint();
}

// Tries endpoints until one is connected to, or connecting.
Source::Begun UpstreamSource::pick_endpoint() {
    const Cluster& cluster = *asked_.entry->cluster;
    for (;;) {
        Candidate* const candidate = pick(cluster.candidates, tried_, cluster.settings.balance,
                                          cluster.health(), environment_.clock.now());
        if (!candidate) return Begun::failed;
        tried_.push_back(candidate->id);
        const Begun begun = try_endpoint(static_cast<Endpoint&>(*candidate), false);
        if (begun != Begun::failed) return begun;
        failure_ = Failure::connect;
    }
}

Source::Begun UpstreamSource::try_endpoint(Endpoint& endpoint, bool fresh) {
    address_ = endpoint.address();
    if (!write_head()) return Begun::answer;
    endpoint_ = &endpoint;
    endpoint.request_begins();
    asked_.entry->cluster->metrics->requests.add();
    Clusters& clusters = environment_.clusters;
    connection_ = clusters.acquire(endpoint, *this, fresh);
    // What cannot be repeated does not go where the far end may have hung up just now.
    while (connection_ && connection_->reused() && !asked_.repeatable && transport().is_stale()) {
        clusters.release(std::move(connection_), false);
        connection_ = clusters.acquire(endpoint, *this, false);
    }
    reading_ = Reading::head;
    bytes_sent_ = false;
    const Transport::Opening opening =
        connection_ ? transport().finish_opening() : Transport::Opening::failed;
    switch (opening) {
        case Transport::Opening::pending:
            return Begun::connecting;
        case Transport::Opening::open:
            return Begun::connected;
        case Transport::Opening::failed:
            break;
    }
    asked_.entry->cluster->metrics->connect_failures.add();
    endpoint.attempt_failed(environment_.clock.now());
    end_attempt(false);
    leave_endpoint();
    return Begun::failed;
}

// False: too large. The buffer is made for this head, whatever the limits of the configuration are by now.
bool UpstreamSource::write_head() {
    head_out_ = environment_.buffers.take(asked_.request->raw.size() + BufferPool::own_fields_bytes);
    http1::SpanWriter writer({head_out_->first(), head_out_->space_size()});
    if (!write_upstream_head(writer, {.head = asked_.request->head,
                                      .facts = asked_.request->facts,
                                      .raw = asked_.request->raw,
                                      .client = asked_.request->client,
                                      .trusted = asked_.request->trusted,
                                      .authority = address_,
                                      .request_id = asked_.request->id,
                                      .upgrade = !asked_.request->facts.upgrade.empty()})) {
        return false;
    }
    unsent_ = {.head = writer.text(), .body = {}};
    return true;
}

// The one thing it leaves to the gateway to say.
void UpstreamSource::explain(OwnAnswer& answer) const {
    answer.error(431, "refused", "the head of the request is too large with the fields the gateway adds");
}

Source::Found UpstreamSource::connect() {
    switch (transport().finish_opening()) {
        case Transport::Opening::pending:
            return Found::waiting;
        case Transport::Opening::open:
            return Found::progress;
        case Transport::Opening::failed:
            break;
    }
    return fail_with(Failure::connect);
}

Source::Found UpstreamSource::fail_with(Failure failure) {
    failure_ = failure;
    return Found::failed;
}

Source::Found UpstreamSource::expire() {
    const bool open = transport().finish_opening() == Transport::Opening::open;
    return fail_with(open ? Failure::timeout : Failure::connect);
}

Attempt UpstreamSource::attempt() const {
    return {.reused = connection_ && connection_->reused(),
            .bytes_sent = bytes_sent_,
            .response_started = in_ && in_->size() > 0};
}

// The request stays counted at its endpoint until it goes elsewhere, or is over.
void UpstreamSource::attempt_failed(Failure failure, bool blames) {
    if (blames) {
        ServiceMetrics& metrics = *asked_.entry->cluster->metrics;
        endpoint_->attempt_failed(environment_.clock.now());
        if (failure == Failure::connect) metrics.connect_failures.add();
        if (failure == Failure::timeout) metrics.timeouts.add();
        if (failure == Failure::closed || failure == Failure::malformed || failure == Failure::interim) {
            metrics.broken_responses.add();
        }
    }
    end_attempt(false);
}

void UpstreamSource::end_attempt(bool reusable) {
    if (connection_) environment_.clusters.release(std::move(connection_), reusable);
    unsent_.clear();
    head_out_.reset();
    in_.reset();
    arrival_.reset();
}

void UpstreamSource::leave_endpoint() {
    if (endpoint_) environment_.clusters.request_done(*std::exchange(endpoint_, nullptr));
}

void UpstreamSource::release(bool complete) {
    const bool nothing_over = !in_ || in_->size() == 0;
    end_attempt(complete && connection_ && facts_.keep_alive && nothing_over && !transport().peer_finished());
    leave_endpoint();
    facts_.keep_alive = false;
}

// ---- the request's body

Source::Found UpstreamSource::put(const Piece& piece) {
    unsent_.body = encoder_.encode(piece);
    return Found::progress;
}

Flushed UpstreamSource::flush() {
    if (!transport().writable()) return {.status = Flushed::Status::blocked};
    bytes_sent_ = true;
    const std::size_t before = unsent_.size();
    const Transport::Status status = transport().send(unsent_);
    const bool moved = unsent_.size() < before;
    if (status == Transport::Status::blocked) return {Flushed::Status::blocked, moved};
    if (status != Transport::Status::ok) {
        unsent_.clear();
        transport().note_broken();
        return {Flushed::Status::failed, moved};
    }
    head_out_.reset();
    return {Flushed::Status::done, moved};
}

// ---- the response

Source::Found UpstreamSource::read(Response& response) {
    if (reading_ == Reading::head && in_ && in_->size() > 0) {  // behind an interim response
        if (const Found found = read_head(response); found != Found::waiting) return found;
    }
    if (!transport().readable()) {
        if (in_ && in_->size() == 0) in_.reset();
        return Found::waiting;
    }
    if (!in_) in_ = environment_.buffers.take();
    if (reading_ != Reading::head) in_->clear();
    const Transport::Received received = transport().receive(in_->space(), in_->space_size());
    switch (received.status) {
        case Transport::Status::ok: {
            in_->end += received.size;
            const Found found = reading_ == Reading::head ? read_head(response) : read_body(response);
            return found == Found::waiting ? Found::progress : found;
        }
        case Transport::Status::blocked:
            if (in_->size() == 0) in_.reset();
            return Found::waiting;
        case Transport::Status::closed:
        case Transport::Status::failed:
            return ended(response, received.status == Transport::Status::closed);
    }
    return Found::waiting;
}

Source::Found UpstreamSource::ended(Response& response, bool orderly) {
    response.body = {.last = true};
    switch (reading_) {
        case Reading::head:
            return fail_with(Failure::closed);
        case Reading::body:
            facts_.keep_alive = false;
            return orderly && decoder_.finish() ? Found::body : broken();
        case Reading::tunnel:
            return orderly ? Found::body : Found::aborted;
    }
    return broken();
}

// Too late for another answer: the endpoint is to blame, and the response will be cut.
Source::Found UpstreamSource::broken() {
    asked_.entry->cluster->metrics->broken_responses.add();
    endpoint_->attempt_failed(environment_.clock.now());
    return Found::broken;
}

// Reads one head, interim or final; waiting: more of it is needed, and there is room for more.
Source::Found UpstreamSource::read_head(Response& response) {
    http1::Parsed parsed;
    if (arrival_.worth_parsing(in_->text())) {
        parsed = http1::parse_response_head(in_->text(), environment_.settings.header_storage(), head_);
    }
    if (parsed.progress == http1::Progress::need_more) {
        if (!in_->full()) return Found::waiting;
        if (in_->begin == Buffer::headroom) return fail_with(Failure::malformed);  // too large
        in_->compact();
        return Found::waiting;
    }
    if (parsed.progress == http1::Progress::malformed) return fail_with(Failure::malformed);
    return take_head(response, parsed.bytes);
}

Source::Found UpstreamSource::take_head(Response& response, std::size_t bytes) {
    const std::expected<http1::ResponseFacts, http1::Rule> facts =
        http1::inspect(head_, asked_.request->head.method);
    if (!facts) return fail_with(Failure::malformed);
    facts_ = *facts;
    response = {.head = &head_, .facts = &facts_, .raw = in_->text().substr(0, bytes)};
    in_->begin += bytes;
    arrival_.reset();
    if (head_.status < 200 && head_.status != 101) {
        return ++interims_ > interim_max ? fail_with(Failure::interim) : Found::interim;
    }
    if (head_.status == 101) {
        const std::string_view asked = asked_.request->facts.upgrade;
        if (asked.empty() || !http1::equal_ignoring_case(facts_.upgrade, asked)) {
            return fail_with(Failure::malformed);
        }
        reading_ = Reading::tunnel;
        facts_.keep_alive = false;
        facts_.body = {Kind::until_close, 0};
    } else {
        reading_ = Reading::body;
        if (head_.status == 205 && facts_.body != http1::Framing{Kind::length, 0}) {
            facts_.body = {};
            facts_.keep_alive = false;
        }
    }
    decoder_ = BodyDecoder(facts_.body);
    if (!decode(response.body)) return fail_with(Failure::malformed);  // nothing of the head was passed on
    return reading_ == Reading::tunnel ? Found::switched : Found::head;
}

Source::Found UpstreamSource::read_body(Response& response) {
    if (!decode(response.body)) return broken();
    const bool nothing = response.body.bytes.empty() && !response.body.last;
    return nothing ? Found::progress : Found::body;
}

// What of the body lies in `in_`. False: it is malformed.
bool UpstreamSource::decode(Piece& piece) {
    const BodyDecoder::Decoded decoded = decoder_.decode(in_->first(), in_->size());
    in_->begin += decoded.eaten;
    piece = {.bytes = decoded.payload, .in = in_.get(), .last = decoder_.done()};
    return decoded.rule == http1::Rule::none;
}

}  // namespace havn::gateway
