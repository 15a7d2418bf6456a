#include "gateway/core/queue_job.h"

#include <fmt/format.h>

#include <utility>

#include "gateway/core/job.h"
#include "gateway/core/own_answer.h"

namespace havn::gateway {
namespace {

using Kind = http1::Framing::Kind;

constexpr std::uint64_t job_bytes = 2048;  // that a job costs beside its body and headers

const http1::ResponseHead continue_head{.status = 100, .reason = "Continue", .headers = {}};
const http1::ResponseFacts continue_facts{};
constexpr std::string_view continue_lines = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Source::Begun QueueJob::begin(const Request& request, const RouteEntry& entry, bool, SourceUser& user) {
    request_ = &request;
    entry_ = &entry;
    user_ = &user;
    state_ = State::collecting;
    invited_ = false;
    const http1::Framing& body = request.facts.body;
    if (body.kind == Kind::length && body.length > entry.route->body_bytes_max) {
        refuse(State::too_large);
        return Begun::answer;
    }
    const bool large = body.length > HeldBytes::small_bytes;
    if (body.kind == Kind::length && !environment_.memory.has_room(body.length, large)) {
        refuse(State::no_memory);
        return Begun::answer;
    }
    held_.expect(body.kind == Kind::chunked ? UINT64_MAX : body.length);
    return Begun::connected;
}

Source::Found QueueJob::put(const Piece& piece) {
    invited_ = invited_ || !piece.bytes.empty();
    if (held_.size() + piece.bytes.size() > entry_->route->body_bytes_max) return refuse(State::too_large);
    if (!held_.append(piece.bytes)) return refuse(State::no_memory);
    return Found::progress;
}

Source::Found QueueJob::refuse(State why) {
    state_ = why;
    if (why == State::no_memory) {  // what was held so far is free again before the answer is written
        held_.release();
        entry_->queue->refused.add();
        environment_.observer.on_memory_refused();
    }
    return Found::answer;
}

Source::Found QueueJob::end_request() {
    Job job(held_.take());
    job.id = std::string(request_->own_id.view());
    job.queue = entry_->route->queue;
    job.headers = job_headers({.head = request_->head,
                               .facts = request_->facts,
                               .route = *entry_->route,
                               .client = request_->client,
                               .trusted = request_->trusted,
                               .request_id = request_->id});
    for (const http1::Header& header : request_->head.headers) {
        if (header.field == http1::Field::content_type) job.content_type = std::string(header.value);
    }
    std::uint64_t beside = job_bytes;
    for (const auto& [name, value] : job.headers) beside += name.size() + value.size();
    if (!job.body.take_beside(beside)) return refuse(State::no_memory);
    state_ = State::publishing;
    deadline_ = environment_.clock.now() + environment_.settings.tables().config->broker.confirm_timeout;
    in_publish_ = true;
    environment_.publisher.publish(std::move(job), *this);
    in_publish_ = false;
    return state_ == State::settled ? Found::answer : Found::delivered;
}

void QueueJob::on_published(Publisher::Outcome outcome) {
    settle(outcome);
    if (!in_publish_) user_->on_source_ready();
}

void QueueJob::settle(Publisher::Outcome outcome) {
    blocked_reason_ = environment_.publisher.blocked_reason();
    if (outcome == Publisher::Outcome::timed_out && environment_.publisher.give_up(*this)) {
        outcome = Publisher::Outcome::withdrawn;
    }
    outcome_ = outcome;
    state_ = State::settled;
    const bool confirmed = outcome == Publisher::Outcome::confirmed;
    (confirmed ? entry_->queue->accepted : entry_->queue->refused).add();
}

Source::Found QueueJob::read(Response& response) {
    if (state_ == State::settled) return Found::answer;
    if (state_ != State::collecting || invited_ || !request_->facts.expects_continue) return Found::waiting;
    invited_ = true;
    response = {.head = &continue_head, .facts = &continue_facts, .raw = continue_lines};
    return Found::interim;
}

Source::Found QueueJob::expire() {
    if (state_ != State::publishing) {
        state_ = State::late;
    } else {
        settle(Publisher::Outcome::timed_out);
    }
    return Found::answer;
}

void QueueJob::explain(OwnAnswer& answer) const {
    switch (state_) {
        case State::too_large:
            return answer.error(413, "body", "the request body is larger than the route takes");
        case State::no_memory:
            return answer.error(503, "memory",
                                "too many request bodies are held for queues at present; the job was not "
                                "accepted, send it again later",
                                "Retry-After: 1\r\n");
        case State::late:
            return answer.error(408, "client", "the request body did not arrive in time");
        case State::idle:
        case State::collecting:
        case State::publishing:
        case State::settled:
            break;
    }
    const std::string_view id = request_->own_id.view();
    if (outcome_ == Publisher::Outcome::confirmed) {
        return answer.set_kept(202, "application/json", fmt::format("{{\"job\":\"{}\"}}\n", id),
                               fmt::format("Location: /jobs/{}\r\n", id));
    }
    const std::string_view cause = Publisher::name(outcome_);
    if (blocked_reason_.empty() || outcome_ == Publisher::Outcome::refused) {
        return answer.error(503, cause, Publisher::message(outcome_), "Retry-After: 1\r\n");
    }
    const std::string message =
        fmt::format("{} (it says: {})", Publisher::message(outcome_), blocked_reason_);
    answer.error(503, cause, message, "Retry-After: 10\r\n");
}

void QueueJob::release(bool) {
    if (state_ == State::publishing) environment_.publisher.forget(*this);
    state_ = State::idle;
    held_.release();
    blocked_reason_.clear();
}

}  // namespace havn::gateway
