#include "gateway/shell/exchange.h"

#include <algorithm>

#include "gateway/core/http1/forward.h"
#include "gateway/shell/worker.h"

namespace havn::gateway {

using http1::Method;
using Kind = http1::Framing::Kind;

Exchange::Exchange(Worker& worker) : worker_(worker), held_(worker.memory()) {}

void Exchange::reset() {
    client_ = nullptr;
    tables_.reset();
    entry_ = nullptr;
    in_.reset();
    head_ = {};
    facts_ = {};
    raw_ = request_id_ = first_piece_ = cause_ = {};
    request_body_ = response_body_ = {};
    body_in_.reset();
    tried_.clear();
    endpoint_ = nullptr;
    upstream_.reset();
    up_.clear();
    down_.clear();
    up_head_.reset();
    down_head_.reset();
    down_in_.reset();
    arrival_.reset();
    body_rule_ = http1::Rule::none;
    status_ = 0;
    interims_ = 0;
    held_.release();
    if (payload_.capacity() > 65536) std::string().swap(payload_);
    payload_.clear();
    phase_ = Phase::over;
    last_failure_ = Failure::none;
    body_read_on_ = bytes_sent_ = upload_over_ = upload_complete_ = response_begun_ = client_served_ = false;
    upstream_keep_alive_ = close_after_ = reset_on_cut_ = fallback_used_ = event_stream_ = false;
    upstream_address_.clear();
}

void Exchange::begin(Client& client, BufferPtr in, const http1::RequestHead& head, std::size_t head_bytes) {
    client_ = &client;
    tables_ = worker_.shared_tables();
    in_ = std::move(in);
    raw_ = in_->text().substr(0, head_bytes);
    in_->begin += head_bytes;
    headers_.assign(head.headers.begin(), head.headers.end());
    head_ = head;
    head_.headers = headers_;
    started_ = progressed_ = worker_.now();
    id_ = worker_.ids().next(worker_.wall_now());
    request_id_ = brought_request_id(head_.headers);
    if (request_id_.empty()) request_id_ = id_.view();
    worker_.metrics().requests_in_flight.add();

    const std::expected<http1::RequestFacts, http1::Rule> facts = http1::inspect(head_);
    if (!facts) {
        note_known(head_);
        worker_.metrics().bad_requests.add();
        request_body_ = Body({Kind::until_close, 0}, Body::Coding::identity);  // no telling where it ends
        return answer_error(http1::row(facts.error()).status, "refused", http1::row(facts.error()).text);
    }
    facts_ = *facts;
    route();
}

void Exchange::begin_refused(Client& client, BufferPtr in, std::uint16_t status, std::string_view why) {
    client_ = &client;
    tables_ = worker_.shared_tables();
    in_ = std::move(in);
    started_ = worker_.now();
    id_ = worker_.ids().next(worker_.wall_now());
    request_id_ = id_.view();
    http1::RequestHead head;
    if (in_) http1::parse_request_head(in_->text(), worker_.header_storage(), head);
    note_known(head);
    worker_.metrics().requests_in_flight.add();
    worker_.metrics().bad_requests.add();
    request_body_ = Body({Kind::until_close, 0}, Body::Coding::identity);
    answer_error(status, "refused", why);
}

// For log and answer: what could be read of a request that is refused.
void Exchange::note_known(const http1::RequestHead& head) {
    head_.method = head.method;
    head_.method_text = head.method_text;
    head_.target = head.target;
    for (const http1::Header& header : head.headers) {
        if (header.field == http1::Field::host && facts_.host.empty()) facts_.host = header.value;
    }
    const std::string_view brought = brought_request_id(head.headers);
    if (!brought.empty()) request_id_ = brought;
}

void Exchange::route() {
    request_body_ = Body(facts_.body, Body::Coding::chunked);
    if (head_.method == Method::connect || head_.method == Method::trace) {
        return answer_error(501, "method", "this gateway does not serve CONNECT and TRACE");
    }
    if (facts_.expects_other)
        return answer_error(417, "expect", "the only expectation met here is 100-continue");
    if (times_seen(head_.headers) > via_max) {
        return answer_error(508, "loop", "the request came through this gateway too often");
    }
    if (head_.method == Method::options &&
        std::ranges::any_of(head_.headers, [](const http1::Header& header) {
            return header.field == http1::Field::max_forwards && header.value == "0";
        })) {
        return answer({204, {}, {}, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"});
    }
    entry_ = client_->service();
    if (!entry_) {
        using Verdict = RouteTable::Verdict;
        const RouteTable::Match match = tables_->routes.find(facts_.host, facts_.path, head_.method_text);
        if (match.route) entry_ = &tables_->entry(*match.route);
        switch (match.verdict) {
            case Verdict::served:
                break;
            case Verdict::options:
                return answer({204, {}, {}, "Allow: " + match.allow + "\r\n"});
            case Verdict::wrong_method:
                return answer_error(405, "method", "the route does not take this method",
                                    "Allow: " + match.allow + "\r\n");
            case Verdict::no_route:
                return answer_error(404, "route", "no route matches this host and path");
            case Verdict::refused:
                worker_.metrics().bad_requests.add();
                return answer_error(400, "path", match.why);
        }
    }
    total_deadline_ = entry_->route->timeout ? started_ + *entry_->route->timeout : Time::max();
    if (entry_->queue) {
        phase_ = Phase::collecting;
        request_body_ = Body(facts_.body, Body::Coding::identity);
        return collect();
    }
    start_upstream();
}

// Picks endpoints until one is connected to, or connecting; the first piece of the body is made ready once.
void Exchange::start_upstream() {
    if (!body_read_on_ && first_piece_.empty() && !request_body_.done() && in_->size() > 0) {
        std::string_view piece;
        if (const Take taken = take_body_piece(piece); taken != Take::piece) return body_stopped(taken);
        first_piece_ = piece;
    }
    Service& service = *entry_->service;
    for (;;) {
        Candidate* const candidate =
            pick(service.candidates, tried_, service.settings.balance, service.health(), worker_.now());
        if (!candidate) {
            return answer_failure(last_failure_ == Failure::none ? Failure::unavailable : last_failure_);
        }
        tried_.push_back(candidate->id);
        if (try_endpoint(static_cast<Endpoint&>(*candidate), false)) return;
    }
}

// True: an attempt is under way, or the request was answered.
bool Exchange::try_endpoint(Endpoint& endpoint, bool fresh) {
    Service& service = *entry_->service;
    upstream_address_ = endpoint.address;
    if (!prepare_upstream_head()) {
        answer_error(431, "refused", "the head of the request is too large with the fields the gateway adds");
        return true;
    }
    endpoint_ = &endpoint;
    endpoint.request_begins();
    service.metrics->requests.add();
    upstream_ = worker_.services().acquire(endpoint, *this, fresh);
    // What cannot be repeated does not go where the far end may have hung up just now.
    const bool repeatable = http1::row(head_.method).idempotent && request_body_.done();
    while (upstream_ && upstream_->reused() && !repeatable && Services::is_stale(*upstream_)) {
        worker_.services().release(std::move(upstream_), false);
        upstream_ = worker_.services().acquire(endpoint, *this, false);
    }
    if (!upstream_) {
        service.metrics->connect_failures.add();
        endpoint.attempt_failed(worker_.now());
        give_up_attempt(false);
        last_failure_ = Failure::connect;
        return false;
    }
    phase_ = upstream_->connecting() ? Phase::connecting : Phase::relaying;
    progressed_ = worker_.now();
    connect_deadline_ = progressed_ + entry_->route->connect_timeout;
    guard();
    bytes_sent_ = upload_over_ = upload_complete_ = false;
    return true;
}

// False: too large. The buffer is made for this head, whatever the limits of the configuration are by now.
bool Exchange::prepare_upstream_head() {
    up_head_ = worker_.buffers().take(raw_.size() + BufferPool::own_fields_bytes);
    const bool upgrade = http1::equal_ignoring_case(facts_.upgrade, "websocket") && request_body_.done() &&
                         first_piece_.empty();
    if (!upgrade) facts_.upgrade = {};
    http1::SpanWriter writer({up_head_->first(), up_head_->space_size()});
    if (!write_upstream_head(writer, {.head = head_,
                                      .facts = facts_,
                                      .raw = raw_,
                                      .client = client_->address(),
                                      .trusted = client_->trusted(),
                                      .authority = upstream_address_,
                                      .request_id = request_id_,
                                      .upgrade = upgrade})) {
        return false;
    }
    up_.head = writer.text();
    up_.body = first_piece_;
    return true;
}

// False: still connecting, or it failed and is dealt with.
bool Exchange::connected() {
    if (!upstream_->socket.writable() && !upstream_->socket.broken()) return false;
    if (upstream_->finish_connect() != 0) {
        attempt_failed(Failure::connect);
        return false;
    }
    phase_ = Phase::relaying;
    progressed_ = worker_.now();
    guard();
    return true;
}

void Exchange::give_up_attempt(bool reusable) {
    if (upstream_) worker_.services().release(std::move(upstream_), reusable);
    if (endpoint_) worker_.services().request_done(*std::exchange(endpoint_, nullptr));
    up_.clear();
    up_head_.reset();
    down_in_.reset();
    arrival_.reset();
    if (client_served_) return;
    down_.clear();  // an interim response of which nothing was sent
    down_head_.reset();
}

// Before a final response began: another attempt if that does no harm, else the answer for this failure.
void Exchange::attempt_failed(Failure failure) {
    Service& service = *entry_->service;
    Endpoint& endpoint = *endpoint_;
    const bool answered = down_in_ && down_in_->size() > 0;
    const Verdict verdict = judge({.failure = failure,
                                   .reused = upstream_ && upstream_->reused(),
                                   .bytes_sent = bytes_sent_,
                                   .response_started = answered,
                                   .idempotent = http1::row(head_.method).idempotent,
                                   .body_replayable = request_body_.done() && !body_read_on_,
                                   .client_served = client_served_});
    if (verdict.blames) {
        endpoint.attempt_failed(worker_.now());
        if (failure == Failure::connect) service.metrics->connect_failures.add();
        if (failure == Failure::timeout) service.metrics->timeouts.add();
        if (failure == Failure::closed || failure == Failure::malformed || failure == Failure::interim)
            service.metrics->broken_responses.add();
    }
    const bool again = verdict.next != Next::give_up && worker_.now() < total_deadline_;
    if (again && verdict.next == Next::same_endpoint && !endpoint.removed) {
        worker_.services().release(std::move(upstream_), false);
        std::exchange(endpoint_, nullptr)->request_ends();  // try_endpoint counts it anew
        if (try_endpoint(endpoint, true)) return;
    } else {
        give_up_attempt(false);
    }
    last_failure_ = failure;
    if (!again) return answer_failure(failure);
    service.metrics->retries.add();
    start_upstream();
}

void Exchange::answer_failure(Failure failure) {
    struct Row {
        std::uint16_t status;
        std::string_view cause, message;
    };
    static constexpr Row rows[] = {
        {500, "none", ""},
        {502, "connect", "no instance of the service could be reached"},
        {504, "timeout", "the service did not answer in time"},
        {502, "closed", "the service closed the connection before it answered"},
        {502, "malformed", "the service answered with something that is no HTTP"},
        {502, "interim", "the service sent interim responses (1xx) without end"},
        {503, "unavailable", "no instance of the service is ready"},
    };
    const Row& row = rows[static_cast<std::size_t>(failure)];
    give_up_attempt(false);
    cause_ = row.cause;
    const std::optional<Fallback>& fallback = entry_->route->fallback;
    if (!fallback) {
        const std::string message = fmt::format("{} ({})", row.message, entry_->label);
        return answer_error(row.status, row.cause, message, row.status == 503 ? "Retry-After: 1\r\n" : "");
    }
    fallback_used_ = true;
    entry_->metrics->fallbacks.add();
    const std::string extra = fmt::format("X-Havn-Fallback: {}\r\n", row.cause);
    answer({fallback->status, fallback->type, fallback->body, extra});
}

// What guards the present phase; the past where the entry stands for the phase itself.
Time Exchange::due() const {
    const Route& route = *entry_->route;
    switch (phase_) {
        case Phase::connecting:
            return std::min(connect_deadline_, total_deadline_);
        case Phase::relaying:
            return std::min(total_deadline_,
                            progressed_ + (event_stream_ ? route.tunnel_timeout : route.idle_timeout));
        case Phase::collecting:
            return std::min(total_deadline_, progressed_ + route.idle_timeout);
        case Phase::tunnelling:
            return progressed_ + route.tunnel_timeout;
        case Phase::publishing:
        case Phase::answering:
        case Phase::over:
            break;
    }
    return Time::min();
}

// The entry is moved only to come earlier, so that progress costs nothing but a note of the time: what was
// put off is found out when the entry fires.
void Exchange::guard() {
    const Time until = due();
    if (is_set() && guarded_until_ <= until) return;
    guarded_until_ = until;
    worker_.deadlines().set(*this, until);
}

// Not while it waits to be asked for its body, as its Expect said.
bool Exchange::client_owes_body() const {
    const bool waits = facts_.expects_continue && !client_served_ && request_body_.payload_bytes() == 0;
    return up_.empty() && !request_body_.done() && !waits;
}

void Exchange::on_deadline() {
    if (entry_ && due() > worker_.now()) return guard();
    Client* const client = client_;  // cut() makes this exchange free for another
    switch (phase_) {
        case Phase::connecting:
            attempt_failed(Failure::connect);
            break;
        case Phase::relaying:
            if (response_begun_) {
                cause_ = down_.empty() ? "timeout" : "client";
                cut();
            } else if (client_owes_body()) {
                answer_error(408, "client", "the request body did not arrive in time");
            } else {
                attempt_failed(Failure::timeout);
            }
            break;
        case Phase::collecting:
            answer_error(408, "client", "the request body did not arrive in time");
            break;
        case Phase::publishing:
            settle_job(Publisher::Outcome::timed_out);
            break;
        case Phase::answering:
        case Phase::tunnelling:
            cut();
            break;
        case Phase::over:
            break;
    }
    client->drive();
}

void Exchange::run() {
    if (phase_ == Phase::connecting && !connected() && phase_ == Phase::connecting) return;
    if (phase_ == Phase::relaying || phase_ == Phase::tunnelling) relay();
    if (phase_ == Phase::collecting) collect();
    if (phase_ == Phase::answering) run_answer();
}

}  // namespace havn::gateway
