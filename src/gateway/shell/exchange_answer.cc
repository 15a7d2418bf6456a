// What the gateway says itself, queue routes, and the end of every exchange.
#include "gateway/core/job.h"
#include "gateway/core/turn/access_log.h"
#include "gateway/shell/exchange.h"
#include "gateway/shell/worker.h"
#include "wire/http1/write.h"

namespace havn::gateway {

using Kind = http1::Framing::Kind;

static constexpr std::uint64_t drained_bytes_max =
    65536;                                        // of an unread request body, to keep the connection
static constexpr int collected_pieces_max = 16;   // of a body, before others have their turn
static constexpr seconds answer_max{10};          // to take an answer of ours
static constexpr std::uint64_t job_bytes = 2048;  // that a job costs beside its body and headers

void Exchange::answer_error(std::uint16_t status, std::string_view cause, std::string_view message,
                            std::string_view extra) {
    cause_ = cause;
    payload_ = fmt::format("{{\"error\":{{\"status\":{},\"cause\":\"{}\",\"message\":\"", status, cause);
    append_json_text(payload_, message);
    payload_ += "\"}}\n";
    answer({status, "application/json", payload_, extra});
}

void Exchange::answer(const Answer& what) {
    give_up_attempt(false);
    std::string text(down_.head);  // the rest of an interim response that the client has a part of
    status_ = what.status;
    const http1::Framing& body = request_body_.received();
    const bool small =
        request_body_.done() || (body.kind == Kind::length && !facts_.expects_continue &&
                                 body.length - request_body_.payload_bytes() <= drained_bytes_max);
    close_after_ = !facts_.keep_alive || !small || worker_.stopping();
    http1::write_status_line(text, what.status);
    http1::write_header(text, "Date", worker_.http_date());
    if (!what.type.empty()) http1::write_header(text, "Content-Type", what.type);
    if (what.status != 204) http1::write_header(text, "Content-Length", what.body.size());
    text += what.extra;
    http1::write_header(text, "X-Request-Id", request_id_);
    if (close_after_) {
        text += "Connection: close\r\n";
    } else if (head_.minor == 0) {
        text += "Connection: keep-alive\r\n";
    }
    text += "\r\n";
    answer_body_ = std::move(text);
    down_.head = answer_body_;
    down_.body = head_.method == http1::Method::head || what.status == 204 ? std::string_view() : what.body;
    response_body_ = Body({Kind::length, down_.body.size()}, Body::Coding::identity);
    response_begun_ = true;
    phase_ = Phase::answering;
    worker_.deadlines().set(*this, worker_.now() + answer_max);
}

void Exchange::run_answer() {
    if (!down_.empty()) {
        if (!client_->socket.writable()) return;
        client_served_ = true;
        const Socket::Status status = client_->socket.send(down_);
        if (status == Socket::Status::blocked) return;
        if (status == Socket::Status::failed) return client_lost();
    }
    while (!close_after_ && !request_body_.done()) {
        std::string_view unread;
        if (const Take taken = take_body_piece(unread); taken != Take::piece) return body_stopped(taken);
    }
    if (!close_after_) return finish(Client::After::keep);
    finish(request_body_.done() ? Client::After::close : Client::After::linger);
}

// The body of a queue route's request, held until it is whole.
void Exchange::collect() {
    const std::uint64_t max = entry_->route->body_bytes_max;
    if (facts_.body.kind == Kind::length && facts_.body.length > max) {
        return answer_error(413, "body", "the request body is larger than the route takes");
    }
    if (facts_.body.kind == Kind::length && !body_read_on_ &&
        !worker_.memory().has_room(facts_.body.length, facts_.body.length > HeldBytes::small_bytes)) {
        return answer_out_of_memory();
    }
    if (!body_read_on_) held_.expect(facts_.body.kind == Kind::chunked ? UINT64_MAX : facts_.body.length);
    if (!is_set()) guard();
    if (facts_.expects_continue && !client_served_ && in_->size() == 0 && !request_body_.done()) {
        client_served_ = true;
        down_.head = "HTTP/1.1 100 Continue\r\n\r\n";
    }
    if (!down_.empty()) {
        const Socket::Status status = client_->socket.send(down_);
        if (status == Socket::Status::blocked) return;
        if (status == Socket::Status::failed) return client_lost();
    }
    for (int pieces = 0; !request_body_.done(); ++pieces) {
        if (pieces == collected_pieces_max) return worker_.drive_later(*client_);
        std::string_view piece;
        if (const Take taken = take_body_piece(piece); taken != Take::piece) return body_stopped(taken);
        if (held_.size() + piece.size() > max)
            return answer_error(413, "body", "the request body is larger than the route takes");
        if (!held_.append(piece)) return answer_out_of_memory();
    }
    publish();
}

// What was held so far is free again before the answer is written.
void Exchange::answer_out_of_memory() {
    held_.release();
    entry_->queue->refused.add();
    worker_.job_refused();
    answer_error(503, "memory",
                 "too many request bodies are held for queues at present; the job was not accepted, "
                 "send it again later",
                 "Retry-After: 1\r\n");
}

void Exchange::publish() {
    Job job(held_.take());
    job.id = std::string(id_.view());
    job.queue = entry_->route->queue;
    job.headers = job_headers({.head = head_,
                               .facts = facts_,
                               .route = *entry_->route,
                               .client = client_->address(),
                               .trusted = client_->trusted(),
                               .request_id = request_id_});
    for (const http1::Header& header : head_.headers) {
        if (header.field == http1::Field::content_type) job.content_type = std::string(header.value);
    }
    std::uint64_t beside = job_bytes;
    for (const auto& [name, value] : job.headers) beside += name.size() + value.size();
    if (!job.body.take_beside(beside)) return answer_out_of_memory();
    phase_ = Phase::publishing;
    worker_.deadlines().set(*this, worker_.now() + tables_->config->broker.confirm_timeout);
    worker_.publisher().publish(std::move(job), *this);
}

void Exchange::on_published(Publisher::Outcome outcome) {
    Client* const client = client_;
    settle_job(outcome);
    client->drive();
}

void Exchange::settle_job(Publisher::Outcome outcome) {
    Publisher& publisher = worker_.publisher();
    const std::string reason(publisher.blocked_reason());
    if (outcome == Publisher::Outcome::timed_out && publisher.give_up(*this))
        outcome = Publisher::Outcome::withdrawn;
    const bool confirmed = outcome == Publisher::Outcome::confirmed;
    (confirmed ? entry_->queue->accepted : entry_->queue->refused).add();
    if (confirmed) {
        payload_ = fmt::format("{{\"job\":\"{}\"}}\n", id_.view());
        return answer({202, "application/json", payload_, fmt::format("Location: /jobs/{}\r\n", id_.view())});
    }
    const std::string_view cause = Publisher::name(outcome);
    if (reason.empty() || outcome == Publisher::Outcome::refused) {
        return answer_error(503, cause, Publisher::message(outcome), "Retry-After: 1\r\n");
    }
    const std::string message = fmt::format("{} (it says: {})", Publisher::message(outcome), reason);
    answer_error(503, cause, message, "Retry-After: 10\r\n");
}

void Exchange::client_lost() {
    if (phase_ == Phase::over) return;
    if (phase_ == Phase::publishing) worker_.publisher().forget(*this);
    give_up_attempt(false);
    if (!response_begun_) status_ = 499;
    if (cause_.empty()) cause_ = "client";
    finish(Client::After::close);
}

// The response cannot be completed: the client must see that it is not.
void Exchange::cut() {
    if (cause_.empty()) cause_ = "timeout";
    give_up_attempt(false);
    finish(reset_on_cut_ ? Client::After::reset : Client::After::close);
}

void Exchange::record() {
    const Duration duration = worker_.now() - started_;
    const bool whole = down_.empty();
    const std::uint64_t bytes_out = response_body_.payload_bytes();
    AccessRecord line{
        .time = worker_.wall_text(),
        .id = request_id_,
        .client = client_->address(),
        .method = head_.method_text,
        .host = facts_.host,
        .target = head_.target,
        .route = entry_ ? std::string_view(entry_->label) : std::string_view(),
        .upstream = upstream_address_,
        .cause = cause_,
        .status = status_,
        .bytes_in = request_body_.payload_bytes(),
        .bytes_out = whole && phase_ == Phase::answering ? response_body_.received().length : bytes_out,
        .duration = duration};
    worker_.log(line);
    if (entry_) entry_->metrics->note(status_, duration);
    Metrics& metrics = worker_.metrics();
    metrics.bytes_received.add(line.bytes_in);
    metrics.bytes_sent.add(line.bytes_out);
    metrics.requests_in_flight.subtract();
}

// The last thing an exchange does: nothing of it may be touched afterwards.
void Exchange::finish(Client::After after) {
    record();
    worker_.deadlines().clear(*this);
    BufferPtr rest;
    if (body_in_ && body_in_->size() > 0) {
        rest = std::move(body_in_);
    } else if (in_ && in_->size() > 0) {
        rest = std::move(in_);
    }
    // Unread bytes at a close would make the kernel reset the connection, and with it the answer.
    if (after == Client::After::close && (rest || client_->socket.readable())) after = Client::After::linger;
    phase_ = Phase::over;
    client_->exchange_over(after, std::move(rest));
}

}  // namespace havn::gateway
