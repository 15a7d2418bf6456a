#include "gateway/core/job_sender.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::gateway {

namespace {

constexpr milliseconds pause_first{20}, pause_max{2'000};  // between connections that fail
constexpr seconds silence_max{15};                         // with jobs to confirm
constexpr std::uint64_t unconfirmed_max = 1u << 22;        // from the oldest to the newest
constexpr std::size_t header_name_max = 128;               // bytes; AMQP 0-9-1 §4.2.5.5
constexpr std::size_t content_type_max = 255;              // a short string

amqp::client::Options client_options() {
    amqp::client::Options options;
    options.product = "havn gateway";
    options.frame_bytes_max = JobSender::frame_bytes_max;
    options.output_bytes_max = JobSender::out_bytes_max;
    options.unconfirmed_max = unconfirmed_max;
    options.message_bytes_max = options.content_bytes_max = 0;  // nothing is consumed
    return options;
}

std::string job_properties(const Job& job) {
    amqp::TableWriter headers;
    for (const auto& [name, value] : job.headers) {
        headers.text(std::string_view(name).substr(0, header_name_max), value);
    }
    amqp::Properties properties;
    properties.flags = amqp::Properties::has_headers | amqp::Properties::has_delivery_mode |
                       amqp::Properties::has_message_id;
    properties.headers = headers.table();
    properties.delivery_mode = 2;
    properties.message_id = std::string_view(job.id);
    if (!job.content_type.empty() && job.content_type.size() <= content_type_max) {
        properties.flags |= amqp::Properties::has_content_type;
        properties.content_type = std::string_view(job.content_type);
    }
    std::string bytes;
    amqp::append_properties(bytes, properties);
    return bytes;
}

}  // namespace

struct JobSender::Pending {
    Pending(Job the_job, Waiter& the_waiter) : job(std::move(the_job)), waiter(&the_waiter) {}

    Job job;
    Waiter* waiter;                                          // null: told, or forgotten
    std::uint64_t end = amqp::client::Channel::unknown_end;  // where it ends in what the connection sends
    bool is_sent = false;                                    // in sent_, else in waiting_
    bool may_be_executed = false;                            // sent whole on a connection that ended since
    Jobs* in = nullptr;
    Jobs::iterator self{};  // of `in`
};

JobSender::JobSender() : connection_(client_options(), *this), channel_(connection_, *this) {}

JobSender::~JobSender() {
    connection_.reset();
}

void JobSender::publish(Job job, Waiter& waiter) {
    if (blocked()) return waiter.on_published(JobOutcome::blocked);
    Pending& pending = waiting_.emplace_back(std::move(job), waiter);
    pending.in = &waiting_;
    pending.self = std::prev(waiting_.end());
    waiter.pending_ = &pending;
    by_id_.erase(pending.job.id);  // a key is a view into the job it leads to
    by_id_.emplace(pending.job.id, &pending);
    send_waiting();
}

JobSender::Sent JobSender::forget(Waiter& waiter) {
    Pending* const pending = std::exchange(waiter.pending_, nullptr);
    if (!pending) return Sent::before;  // told: what there is to know is known
    pending->waiter = nullptr;
    if (!pending->is_sent) {
        const Sent how_much = pending->may_be_executed ? Sent::before : Sent::nothing;
        drop(*pending);
        return how_much;
    }
    const Sent how_much = pending->end > connection_.sent_position() ? Sent::part : Sent::whole;
    const bool body_is_copied = pending->end != amqp::client::Channel::unknown_end;
    if (body_is_copied) pending->job.body.release();  // it will not be sent again
    return how_much == Sent::part && pending->may_be_executed ? Sent::before : how_much;
}

// A broker that says it is blocked, or that does not even read what it was sent, cannot have accepted the
// job: it drops what it has not taken in when the connection ends. One that reads and does not confirm may
// have.
JobSender::GivenUp JobSender::give_up(Waiter& waiter, Time asked, Time now, bool peer_has_unread) {
    const Sent sent = forget(waiter);
    if (sent == Sent::nothing) {
        return {true, channel_.unconfirmed_is_full() ? "it leaves a job unconfirmed" : ""};
    }
    if (sent == Sent::before || !ready_) return {};
    const bool stalled = is_silent_since(asked) && (sent == Sent::part || peer_has_unread);
    if (blocked()) return {sent == Sent::part, "it is blocked and holds back what it was sent"};
    if (stalled) return {sent == Sent::part, "it reads nothing"};
    return {false, now - connection_.last_received() > silence_max ? "it confirms nothing" : ""};
}

void JobSender::drop(Pending& pending) {
    const auto entry = by_id_.find(pending.job.id);
    if (entry != by_id_.end() && entry->second == &pending) by_id_.erase(entry);
    pending.in->erase(pending.self);
}

void JobSender::move(Pending& pending, Jobs& to) {
    to.splice(to.end(), *pending.in, pending.self);
    pending.in = &to;
}

// What was sent whole on an earlier connection may have been accepted there, whatever is said of it now.
void JobSender::answer(Pending& pending, JobOutcome outcome) {
    Waiter* const waiter = std::exchange(pending.waiter, nullptr);
    if (!waiter) return;
    waiter->pending_ = nullptr;
    if (pending.may_be_executed && outcome != JobOutcome::confirmed) outcome = JobOutcome::timed_out;
    waiter->on_published(outcome);
}

// Whoever is told may publish at once, and may forget others of these jobs.
void JobSender::answer_all(Jobs& jobs, JobOutcome outcome) {
    while (!jobs.empty()) {
        Pending& first = jobs.front();
        answer(first, outcome);
        drop(first);
    }
}

void JobSender::opened(const Login& login, Time now) {
    if (ready_ || !sent_.empty()) closed(now);
    unread_.clear();
    connection_.open(login, now);
}

void JobSender::closed(Time now) {
    const std::uint64_t left = connection_.sent_position();
    connection_.reset();
    Jobs again;
    while (!sent_.empty()) {
        Pending& pending = sent_.front();
        if (!pending.waiter) {
            drop(pending);
            continue;
        }
        pending.is_sent = false;
        pending.may_be_executed = pending.may_be_executed || pending.end <= left;
        pending.end = amqp::client::Channel::unknown_end;
        move(pending, again);
    }
    for (Pending& pending : again) pending.in = &waiting_;
    waiting_.splice(waiting_.begin(), again);
    unread_.clear();
    ready_ = taken_ = false;
    const milliseconds pause = std::min(pause_first * (1u << std::min(failures_, 10u)), pause_max);
    retry_at_ = now + (failures_ == 0 ? milliseconds(1) : pause);
    ++failures_;
}

JobSender::Output JobSender::output() {
    send_waiting();
    return connection_.pieces();
}

// A bounded part of what waits becomes bytes; the rest can still be withdrawn.
void JobSender::send_waiting() {
    while (ready_ && !waiting_.empty() && channel_.may_publish() && send_first()) {
    }
}

// False: the channel takes no more now.
bool JobSender::send_first() {
    Pending& first = waiting_.front();
    const std::string properties = job_properties(first.job);
    if (!channel_.fits(properties.size())) {
        Jobs refused;
        move(first, refused);
        answer_all(refused, JobOutcome::refused);
        return true;
    }
    const amqp::client::Message message{.routing_key = first.job.queue,
                                        .properties = properties,
                                        .body = first.job.body.view(),
                                        .mandatory = true};
    const auto published = channel_.publish(message, std::bit_cast<std::uintptr_t>(&first));
    if (!published) return false;
    first.is_sent = true;
    first.end = published->end;
    move(first, sent_);
    return true;
}

Result<> JobSender::receive(std::string_view bytes, Time now) {
    const bool in_pieces = !unread_.empty();
    if (in_pieces) bytes = unread_.append(bytes);
    const Result<std::size_t> eaten = connection_.receive(bytes, now);
    if (channel_closed_) {
        const Error why = *std::exchange(channel_closed_, std::nullopt);
        refuse_sent();
        return std::unexpected(why);
    }
    if (!eaten) return std::unexpected(eaten.error());
    if (in_pieces) {
        unread_.erase(0, *eaten);
    } else {
        unread_ = bytes.substr(*eaten);
    }
    return {};
}

void JobSender::on_connected() {
    channel_.open();
}

void JobSender::on_open() {
    channel_.request(amqp::ConfirmSelect{});
}

void JobSender::on_reply(const amqp::client::Reply& reply) {
    if (reply.method != amqp::ConfirmSelectOk::id) return;
    ready_ = true;
    failures_ = 0;
    send_waiting();
}

// Those that were never sent are told now: sent later, they would be executed after their client was told no.
// Those that may have been executed wait for the broker to take messages again, or for their deadline.
void JobSender::on_blocked(std::string_view reason) {
    taken_ = false;
    blocked_reason_ = reason;
    Jobs never_sent;
    for (auto job = waiting_.begin(); job != waiting_.end();) {
        Pending& pending = *job++;
        if (!pending.may_be_executed) move(pending, never_sent);
    }
    answer_all(never_sent, JobOutcome::blocked);
}

void JobSender::on_unblocked() {
    taken_ = true;
}

void JobSender::on_closed(const Error& why) {
    channel_closed_ = why;
}

// A channel is closed over what it was sent: nothing of it is sent again. Whoever is told may publish at
// once: that waits for the next connection.
void JobSender::refuse_sent() {
    connection_.reset();
    ready_ = false;
    Jobs refused;
    while (!sent_.empty()) move(sent_.front(), refused);
    answer_all(refused, JobOutcome::refused);
}

// Whoever is told may publish at once.
void JobSender::on_confirm(std::uint64_t context, bool accepted) {
    Pending& pending = *std::bit_cast<Pending*>(static_cast<std::uintptr_t>(context));
    if (accepted) taken_ = !blocked();
    answer(pending, accepted ? JobOutcome::confirmed : JobOutcome::refused);
    drop(pending);
}

// The confirm of a returned message follows; by then nobody waits for it.
void JobSender::on_returned(const amqp::client::Returned& returned) {
    const std::optional<amqp::Properties> properties = amqp::parse_properties(returned.properties);
    if (!properties) return;
    const auto entry = by_id_.find(std::string_view(properties->message_id));
    if (entry != by_id_.end() && entry->second->is_sent) answer(*entry->second, JobOutcome::unroutable);
}

// Where nobody waits for the job any more, its body was only kept to be sent to its end.
void JobSender::on_body_sent(std::uint64_t context, std::uint64_t end) {
    Pending& pending = *std::bit_cast<Pending*>(static_cast<std::uintptr_t>(context));
    pending.end = end;
    if (!pending.waiter) pending.job.body.release();
}

}  // namespace havn::gateway
