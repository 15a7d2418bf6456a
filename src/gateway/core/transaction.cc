#include "gateway/core/transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

namespace havn::gateway {
namespace {

using http1::Method;

constexpr seconds answer_max{10};     // for the client to take an answer of ours
constexpr int relay_rounds_max = 16;  // pieces in each direction before others have their turn

// What the client is told when the last attempt failed.
struct FailureAnswer {
    std::uint16_t status;
    std::string_view cause, message;
};
constexpr FailureAnswer failure_answers[] = {
    {500, "none", ""},
    {502, "connect", "no instance of the service could be reached"},
    {504, "timeout", "the service did not answer in time"},
    {502, "closed", "the service closed the connection before it answered"},
    {502, "malformed", "the service answered with something that is no HTTP"},
    {502, "interim", "the service sent interim responses (1xx) without end"},
    {503, "unavailable", "no instance of the service is ready"},
};
static_assert(std::size(failure_answers) == failures.size(), "one answer for each Failure, in its order");

bool asks_only_this_gateway(const Request& request) {
    return request.head.method == Method::options &&
           std::ranges::any_of(request.head.headers, [](const http1::Header& header) {
               return header.field == http1::Field::max_forwards && header.value == "0";
           });
}

}  // namespace

void Transaction::reset() {
    downstream_ = nullptr;
    source_ = nullptr;
    tables_.reset();
    entry_ = nullptr;
    own_.clear();
    first_piece_ = {};
    cause_ = {};
    bytes_out_ = 0;
    status_ = 0;
    state_ = State::over;
    upload_ = Upload::streaming;
    reply_ = Reply::none;
    last_failure_ = Failure::none;
    read_on_ = false;
}

void Transaction::start(Downstream& downstream) {
    downstream_ = &downstream;
    tables_ = environment_.settings.shared_tables();
    guard_.begin(environment_.clock.now());
    state_ = State::routing;
    environment_.metrics.requests_in_flight.add();
}

void Transaction::begin(Downstream& downstream) {
    start(downstream);
    route();
}

void Transaction::begin_refused(Downstream& downstream, std::uint16_t status, std::string_view why) {
    start(downstream);
    environment_.metrics.bad_requests.add();
    refuse(status, "refused", why);
}

// The only place where the state changes.
void Transaction::on(Event event) {
    const TransactionStep next = step(state_, event);
    state_ = next.next;
    perform(next.action);
}

void Transaction::perform(Action action) {
    switch (action) {
        case Action::none:
            break;
        case Action::attempt:
            attempt();
            break;
        case Action::relay:
            guard_.note_progress(environment_.clock.now());
            arm();
            break;
        case Action::retry:
            take_begun(source_->begin_again(next_));
            break;
        case Action::fallback:
            answer_failure();
            break;
        case Action::answer:
            answer();
            break;
        case Action::refuse: {
            const http1::RuleRow& broken = http1::row(downstream_->body_rule());
            own_.error(broken.status, "refused", broken.text);
            answer();
            break;
        }
        case Action::late:
            own_.error(408, "client", "the request body did not arrive in time");
            answer();
            break;
        case Action::expire:
            if (const Look look = look_of(source_->expire()); look.what == Look::What::event) on(look.event);
            break;
        case Action::settle:
            guard_.set_fixed(source_->deadline());
            environment_.deadlines.clear(*this);
            arm();
            break;
        case Action::cut:
            if (cause_.empty()) cause_ = "timeout";
            finish(Downstream::End::cut);
            break;
        case Action::abandon:
            if (reply_ < Reply::begun) status_ = 499;
            if (cause_.empty()) cause_ = "client";
            finish(Downstream::End::gone);
            break;
        case Action::finish:
            finish(upload_ == Upload::complete ? Downstream::End::complete : Downstream::End::early);
            break;
    }
}

// ---- who answers

void Transaction::refuse(std::uint16_t status, std::string_view cause, std::string_view message,
                         std::string_view extra) {
    own_.error(status, cause, message, extra);
    on(Event::refused);
}

void Transaction::route() {
    const Request& request = downstream_->request();
    if (request.head.method == Method::connect || request.head.method == Method::trace) {
        return refuse(501, "method", "this gateway does not serve CONNECT and TRACE");
    }
    if (request.facts.expects_other) {
        return refuse(417, "expect", "the only expectation met here is 100-continue");
    }
    if (times_seen(request.head.headers) > via_max) {
        return refuse(508, "loop", "the request came through this gateway too often");
    }
    if (asks_only_this_gateway(request)) {
        own_.set(204, {}, {}, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
        return on(Event::refused);
    }
    entry_ = request.service;
    if (!entry_ && !find_route()) return on(Event::refused);
    guard_.set_route(*entry_->route);
    source_ = entry_->queue ? &sources_.queue : &sources_.service;
    on(Event::routed);
}

// False: the answer is ready. A route whose path matches is known even then, for the log.
bool Transaction::find_route() {
    using Verdict = RouteTable::Verdict;
    const Request& request = downstream_->request();
    const RouteTable::Match match =
        tables_->routes.find(request.facts.host, request.facts.path, request.head.method_text);
    if (match.route) entry_ = &tables_->entry(*match.route);
    switch (match.verdict) {
        case Verdict::served:
            return true;
        case Verdict::options:
            own_.set(204, {}, {}, "Allow: " + match.allow + "\r\n");
            return false;
        case Verdict::wrong_method:
            own_.error(405, "method", "the route does not take this method",
                       "Allow: " + match.allow + "\r\n");
            return false;
        case Verdict::no_route:
            own_.error(404, "route", "no route matches this host and path");
            return false;
        case Verdict::refused:
            environment_.metrics.bad_requests.add();
            own_.error(400, "path", match.why);
            return false;
    }
    return false;
}

// ---- attempts

// What came of the body with the head is read once, before anybody is asked, and given to each attempt.
void Transaction::attempt() {
    if (downstream_->body_at_hand()) {
        switch (downstream_->read_body(first_piece_)) {
            case Downstream::Body::piece:
            case Downstream::Body::wait:
            case Downstream::Body::half_closed:
                break;
            case Downstream::Body::gone:
                return on(Event::client_gone);
            case Downstream::Body::refused:
                environment_.metrics.bad_requests.add();
                return on(Event::body_refused);
        }
    }
    const bool idempotent = http1::row(downstream_->request().head.method).idempotent;
    const bool repeatable = idempotent && downstream_->body_done();
    take_begun(source_->begin(downstream_->request(), *entry_, repeatable, *this));
}

void Transaction::take_begun(Source::Begun begun) {
    upload_ = Upload::streaming;
    if (begun == Source::Begun::failed) {
        const Failure failure = source_->failure();  // an earlier attempt says more than that nobody is left
        if (failure != Failure::unavailable || last_failure_ == Failure::none) last_failure_ = failure;
        return on(Event::failed);
    }
    if (begun == Source::Begun::answer) {
        source_->explain(own_);
        return on(Event::refused);
    }
    guard_.attempt_begins(environment_.clock.now());
    if (begun == Source::Begun::connected) on(Event::connected);
    arm();
    if (first_piece_.bytes.empty() && !first_piece_.last) return;
    if (const Look look = look_of(source_->put(first_piece_)); look.what == Look::What::event) on(look.event);
}

// Before a final response began: another attempt if that does no harm.
TransactionEvent Transaction::attempt_failed(Failure failure) {
    Attempt attempt = source_->attempt();
    attempt.failure = failure;
    attempt.idempotent = http1::row(downstream_->request().head.method).idempotent;
    attempt.body_replayable = downstream_->body_done() && !read_on_;
    attempt.client_served = reply_ != Reply::none;
    const Verdict verdict = judge(attempt);
    source_->attempt_failed(failure, verdict.blames);
    if (reply_ == Reply::none) downstream_->drop_unsent();
    last_failure_ = failure;
    next_ = verdict.next;
    const bool again = verdict.next != Next::give_up && !guard_.is_total_over(environment_.clock.now());
    return again ? Event::repeatable : Event::failed;
}

Transaction::Look Transaction::look_of(Source::Found found) {
    switch (found) {
        case Source::Found::waiting:
            return waiting;
        case Source::Found::failed:
            return {Look::What::event, attempt_failed(source_->failure())};
        case Source::Found::broken:
            cause_ = "cut";
            return {Look::What::event, Event::broken};
        case Source::Found::delivered:
            return {Look::What::event, Event::delivered};
        case Source::Found::answer:
            source_->explain(own_);
            return {Look::What::event, Event::refused};
        case Source::Found::progress:
        case Source::Found::interim:
        case Source::Found::head:
        case Source::Found::switched:
        case Source::Found::body:
        case Source::Found::aborted:
            break;
    }
    return moved;
}

// Gives up the source; of an interim response goes only what was begun.
void Transaction::drop_attempt() {
    if (source_) source_->release(false);
    if (reply_ == Reply::none) downstream_->drop_unsent();
}

// ---- relaying

void Transaction::run() {
    if (state_ == State::connecting) {
        const Look look = look_of(source_->connect());
        if (look.what == Look::What::waiting) return;
        on(look.what == Look::What::moved ? Event::connected : look.event);
        if (state_ == State::connecting) return run();
    }
    if (is_relaying(state_)) relay();
    if (state_ == State::answering) run_answer();
}

// Goes on while either direction moves: what one of them does may be what the other waited for. An event may
// end the transaction, or begin another attempt, which is looked at in the same way.
void Transaction::relay() {
    for (int rounds = 0; is_relaying(state_); ++rounds) {
        if (rounds == relay_rounds_max) return downstream_->drive_later();
        const Look up = upload();
        if (up.what == Look::What::event) {
            on(up.event);
            continue;
        }
        const Look down = download();
        if (down.what == Look::What::event) {
            on(down.event);
            continue;
        }
        if (up.what == Look::What::waiting && down.what == Look::What::waiting) return;
    }
}

Transaction::Look Transaction::upload() {
    if (upload_ != Upload::streaming) return waiting;
    if (source_->has_unsent()) {
        const Flushed flushed = source_->flush();
        if (flushed.moved) guard_.note_progress(environment_.clock.now());
        if (flushed.status == Flushed::Status::blocked) return waiting;
        if (flushed.status == Flushed::Status::failed) {
            upload_ = Upload::stopped;  // it may have answered before it hung up: reading tells
            return moved;
        }
    }
    if (downstream_->body_done()) {
        upload_ = Upload::complete;
        if (read_on_) downstream_->release_body();
        return look_of(source_->end_request());
    }
    Piece piece;
    switch (downstream_->read_body(piece)) {
        case Downstream::Body::piece:
            read_on_ = true;
            guard_.note_progress(environment_.clock.now());
            return look_of(source_->put(piece));
        case Downstream::Body::wait:
            return waiting;
        case Downstream::Body::half_closed:
            upload_ = Upload::stopped;
            source_->half_close();
            return moved;
        case Downstream::Body::gone:
            return {Look::What::event, Event::client_gone};
        case Downstream::Body::refused:
            environment_.metrics.bad_requests.add();
            return {Look::What::event, Event::body_refused};
    }
    return waiting;
}

Transaction::Look Transaction::download() {
    if (downstream_->has_unsent()) {
        const Flushed flushed = downstream_->flush();
        if (flushed.moved) {
            if (reply_ == Reply::none) reply_ = Reply::interim;
            guard_.note_progress(environment_.clock.now());
        }
        if (flushed.status == Flushed::Status::blocked) return waiting;
        if (flushed.status == Flushed::Status::failed) return {Look::What::event, Event::client_gone};
    }
    if (reply_ == Reply::complete) {
        const bool half_open = state_ == State::tunnelling && upload_ == Upload::streaming;
        return half_open ? waiting : Look{Look::What::event, Event::complete};
    }
    Response response;
    const Source::Found found = source_->read(response);
    if (found != Source::Found::waiting) guard_.note_progress(environment_.clock.now());
    switch (found) {
        case Source::Found::interim:
            return pass_interim(response);
        case Source::Found::head:
        case Source::Found::switched:
            return pass_head(response);
        case Source::Found::aborted:
            upload_ = Upload::stopped;
            [[fallthrough]];
        case Source::Found::body:
            pass_body(response.body);
            return moved;
        default:
            return look_of(found);
    }
}

// 1xx: to a 1.1 client, and 100 only to one that asked for it. RFC 9110 §15.2.
Transaction::Look Transaction::pass_interim(const Response& response) {
    const Request& request = downstream_->request();
    const bool unasked = response.head->status == 100 && !request.facts.expects_continue;
    if (request.head.minor == 0 || unasked || downstream_->send_interim(response)) return moved;
    return {Look::What::event, attempt_failed(Failure::malformed)};
}

Transaction::Look Transaction::pass_head(const Response& response) {
    const bool tunnel = response.head->status == 101;
    const bool fits = tunnel ? downstream_->switch_protocols(response) : downstream_->send_head(response);
    if (!fits) return {Look::What::event, attempt_failed(Failure::malformed)};
    status_ = response.head->status;
    reply_ = Reply::begun;
    const http1::Framing::Kind kind = response.facts->body.kind;
    const bool unbounded = kind == http1::Framing::Kind::chunked || kind == http1::Framing::Kind::until_close;
    if (!tunnel && unbounded && is_event_stream(*response.head)) {
        guard_.expect_silence();
        source_->expect_silence();
    }
    if (tunnel) {
        upload_ = Upload::streaming;
        source_->expect_silence();
    }
    pass_body(response.body);
    source_->head_passed();
    return {Look::What::event, tunnel ? Event::switched : Event::head_passed};
}

void Transaction::pass_body(const Piece& piece) {
    bytes_out_ += piece.bytes.size();
    if (piece.last) reply_ = Reply::complete;
    if (piece.last || !piece.bytes.empty()) downstream_->send_body(piece);
}

// ---- the gateway's own words, and the end

void Transaction::answer() {
    drop_attempt();
    if (!own_.cause().empty()) cause_ = own_.cause();
    status_ = own_.status();
    reply_ = Reply::complete;
    const Response& response = own_.response(downstream_->request().head.method);
    guard_.set_fixed(environment_.clock.now() + answer_max);
    arm();
    if (!downstream_->send_head(response)) return on(Event::broken);
    downstream_->send_body(response.body);
}

void Transaction::answer_failure() {
    const FailureAnswer& row = failure_answers[static_cast<std::size_t>(last_failure_)];
    const std::optional<Fallback>& fallback = entry_->route->fallback;
    if (!fallback) {
        const std::string message = fmt::format("{} ({})", row.message, entry_->label);
        own_.error(row.status, row.cause, message, row.status == 503 ? "Retry-After: 1\r\n" : "");
        return answer();
    }
    cause_ = row.cause;
    entry_->metrics->fallbacks.add();
    own_.set(fallback->status, fallback->type, fallback->body,
             fmt::format("X-Havn-Fallback: {}\r\n", row.cause));
    answer();
}

void Transaction::run_answer() {
    if (downstream_->has_unsent()) {
        const Flushed flushed = downstream_->flush();
        if (flushed.status == Flushed::Status::blocked) return;
        if (flushed.status == Flushed::Status::failed) return on(Event::client_gone);
        bytes_out_ = own_.response(downstream_->request().head.method).body.bytes.size();
    }
    switch (downstream_->discard_body()) {
        case Downstream::Body::piece:
            upload_ = downstream_->body_done() ? Upload::complete : Upload::stopped;
            return on(Event::complete);
        case Downstream::Body::wait:
        case Downstream::Body::half_closed:
            return;
        case Downstream::Body::gone:
            return on(Event::client_gone);
        case Downstream::Body::refused:
            environment_.metrics.bad_requests.add();
            return on(Event::body_refused);
    }
}

// Not while it waits to be asked for its body, as its Expect said.
bool Transaction::client_owes_body() const {
    const bool waits = downstream_->request().facts.expects_continue && reply_ == Reply::none &&
                       downstream_->body_bytes() == 0;
    return source_ && !source_->has_unsent() && !downstream_->body_done() && !waits;
}

void Transaction::arm() {
    if (const std::optional<Time> until = guard_.rearm(state_, is_set())) {
        environment_.deadlines.set(*this, *until);
    }
}

void Transaction::on_deadline() {
    if (guard_.due(state_) > environment_.clock.now()) return arm();
    if (state_ == State::responding && downstream_->has_unsent()) cause_ = "client";
    on(state_ == State::awaiting && client_owes_body() ? Event::client_late : Event::source_late);
    if (state_ != State::over) downstream_->drive();
}

// The last thing a transaction does: nothing of it may be touched afterwards.
void Transaction::finish(Downstream::End end) {
    const bool whole = end == Downstream::End::complete || end == Downstream::End::early;
    if (source_) source_->release(whole && upload_ == Upload::complete);
    record();
    environment_.deadlines.clear(*this);
    downstream_->finish(end);
}

void Transaction::record() {
    const Request& request = downstream_->request();
    const Duration duration = environment_.clock.now() - guard_.started();
    const AccessRecord line{.time = environment_.clock.rfc3339(),
                            .id = request.id,
                            .client = request.client,
                            .method = request.head.method_text,
                            .host = request.facts.host,
                            .target = request.head.target,
                            .route = entry_ ? std::string_view(entry_->label) : std::string_view(),
                            .upstream = source_ ? source_->address() : std::string_view(),
                            .cause = cause_,
                            .status = status_,
                            .bytes_in = downstream_->body_bytes(),
                            .bytes_out = bytes_out_,
                            .duration = duration};
    environment_.log.add(line);
    if (entry_) entry_->metrics->note(status_, duration);
    environment_.metrics.bytes_received.add(line.bytes_in);
    environment_.metrics.bytes_sent.add(line.bytes_out);
    environment_.metrics.requests_in_flight.subtract();
}

}  // namespace havn::gateway
