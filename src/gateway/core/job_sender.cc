#include "gateway/core/job_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::gateway {

static constexpr std::uint16_t channel_number = 1;
static constexpr std::size_t content_overhead = 64;  // of a header frame beside its properties
static constexpr std::uint16_t heartbeat_max = 30;   // s
static constexpr std::uint64_t not_sent = UINT64_MAX;

struct JobSender::Pending {
    Pending(Job the_job, Waiter& the_waiter) : job(std::move(the_job)), waiter(&the_waiter) {}

    Job job;
    Waiter* waiter;                // null: told, or forgotten
    std::uint64_t number = 0;      // in the window it is in
    std::uint64_t end = not_sent;  // the position of the connection's bytes where it ends
    bool unconfirmed = false;      // in the window of those, else in that of the waiting
};

JobSender::Window::Window() = default;
JobSender::Window::~Window() = default;

void JobSender::Window::push_back(PendingPtr pending) {
    pending->number = end();
    slots_.push_back(std::move(pending));
    ++count_;
}

void JobSender::Window::push_front(PendingPtr pending) {
    pending->number = --first_;
    slots_.push_front(std::move(pending));
    ++count_;
}

JobSender::PendingPtr JobSender::Window::take(std::uint64_t number) {
    if (number < first_ || number >= end() || !slots_[number - first_]) return nullptr;
    PendingPtr pending = std::move(slots_[number - first_]);
    --count_;
    trim();
    return pending;
}

std::uint64_t JobSender::Window::end() const {
    return first_ + slots_.size();
}

void JobSender::Window::restart(std::uint64_t first) {
    slots_.clear();
    count_ = 0;
    first_ = first;
}

void JobSender::Window::trim() {
    while (!slots_.empty() && !slots_.front()) {
        slots_.pop_front();
        ++first_;
    }
}

JobSender::~JobSender() = default;

void JobSender::publish(Job job, Waiter& waiter) {
    if (blocked_) return waiter.on_published(JobOutcome::blocked);
    auto pending = std::make_unique<Pending>(std::move(job), waiter);
    waiter.pending_ = pending.get();
    by_id_.erase(pending->job.id);  // a key is a view into the job it leads to
    by_id_.emplace(pending->job.id, pending.get());
    waiting_.push_back(std::move(pending));
    encode();
}

JobSender::Sent JobSender::forget(Waiter& waiter) {
    Pending* const pending = std::exchange(waiter.pending_, nullptr);
    if (!pending) return Sent::whole;
    pending->waiter = nullptr;
    if (!pending->unconfirmed) {
        drop(waiting_.take(pending->number));
        return Sent::nothing;
    }
    const Sent how_much = pending->end > out_position_ ? Sent::part : Sent::whole;
    if (pending != large_) pending->job.body.release();  // it will not be sent again
    return how_much;
}

void JobSender::drop(PendingPtr pending) {
    const auto entry = by_id_.find(pending->job.id);
    if (entry != by_id_.end() && entry->second == pending.get()) by_id_.erase(entry);
    if (pending.get() == large_) large_ = nullptr;
}

void JobSender::tell(Pending& pending, JobOutcome outcome) {
    Waiter* const waiter = std::exchange(pending.waiter, nullptr);
    if (!waiter) return;
    waiter->pending_ = nullptr;
    waiter->on_published(outcome);
}

void JobSender::opened(const Login& login) {
    if (state_ != State::closed) closed();
    login_ = login;
    state_ = State::starting;
    out_ = amqp::protocol_header;
}

void JobSender::closed() {
    state_ = State::closed;
    for (std::uint64_t tag = unconfirmed_.end(); tag-- > unconfirmed_.first();) {
        PendingPtr pending = unconfirmed_.take(tag);
        if (!pending) continue;
        pending->unconfirmed = false;
        pending->end = not_sent;
        if (pending->waiter) {
            waiting_.push_front(std::move(pending));
        } else {
            drop(std::move(pending));
        }
    }
    unconfirmed_.restart(1);
    in_.clear();
    out_.clear();
    control_.clear();
    out_sent_ = 0;
    out_position_ = 0;
    large_ = nullptr;
    frame_max_ = frame_bytes_max;
    heartbeat_ = 0;
    expecting_return_ = blocked_ = taken_ = false;
}

void JobSender::add_heartbeat() {
    amqp::append_frame(control(), amqp::FrameType::heartbeat, 0, {});
}

// Nothing may stand between the parts of a body frame.
std::string& JobSender::control() {
    return large_ ? control_ : out_;
}

JobSender::Output JobSender::output() {
    encode();
    Output output{std::string_view(out_).substr(out_sent_), {}};
    if (large_) output.body = large_->job.body.view().substr(large_at_, large_frame_end_ - large_at_);
    return output;
}

void JobSender::sent(std::size_t bytes) {
    out_position_ += bytes;
    const std::size_t of_out = std::min(bytes, out_.size() - out_sent_);
    out_sent_ += of_out;
    bytes -= of_out;
    if (out_sent_ == out_.size()) {
        out_.clear();
        out_sent_ = 0;
        if (out_.capacity() > 2 * out_bytes_max) out_.shrink_to_fit();
    } else if (out_sent_ >= out_bytes_max) {
        out_.erase(0, out_sent_);
        out_sent_ = 0;
    }
    if (!large_) return;
    large_at_ += bytes;
    if (large_at_ == large_frame_end_) next_body_frame();
}

// The frame whose bytes are all sent is ended; then comes the next, or the body is complete.
void JobSender::next_body_frame() {
    const std::size_t size = large_->job.body.size();
    if (large_at_ > 0) out_ += static_cast<char>(amqp::frame_end);
    out_ += std::exchange(control_, {});
    if (large_at_ == size) {
        large_->end = out_position_ + out_.size() - out_sent_;
        if (!large_->waiter) large_->job.body.release();
        large_ = nullptr;
        return;
    }
    const std::size_t part = std::min<std::size_t>(size - large_at_, frame_max_ - amqp::frame_overhead);
    large_frame_end_ = large_at_ + part;
    char* const to = amqp::extend(out_, amqp::frame_head);
    amqp::store_frame_head(to, amqp::FrameType::body, channel_number, part);
}

// A bounded part of what waits becomes bytes; the rest can still be withdrawn.
void JobSender::encode() {
    while (state_ == State::ready && !blocked_ && !large_ && waiting_.count() > 0 &&
           out_.size() - out_sent_ < out_bytes_max) {
        encode_one(waiting_.take(waiting_.first()));
    }
}

static std::string job_properties(const Job& job) {
    amqp::TableWriter headers;
    for (const auto& [name, value] : job.headers) headers.text(std::string_view(name).substr(0, 128), value);
    amqp::Properties properties;
    properties.flags = amqp::Properties::has_headers | amqp::Properties::has_delivery_mode |
                       amqp::Properties::has_message_id;
    properties.headers = headers.table();
    properties.delivery_mode = 2;
    properties.message_id = std::string_view(job.id);
    if (!job.content_type.empty() && job.content_type.size() <= 255) {
        properties.flags |= amqp::Properties::has_content_type;
        properties.content_type = std::string_view(job.content_type);
    }
    std::string bytes;
    amqp::append_properties(bytes, properties);
    return bytes;
}

void JobSender::encode_one(PendingPtr pending) {
    const Job& job = pending->job;
    const std::string properties = job_properties(job);
    if (properties.size() + content_overhead > frame_max_) {
        tell(*pending, JobOutcome::refused);
        return drop(std::move(pending));
    }
    amqp::BasicPublish publish;
    publish.routing_key = std::string_view(job.queue);
    publish.mandatory = true;
    amqp::append_method(out_, channel_number, publish);
    Pending* const encoded = pending.get();
    pending->unconfirmed = true;
    unconfirmed_.push_back(std::move(pending));
    const std::string_view body = job.body.view();
    if (body.size() <= copied_body_max) {
        const std::size_t size = amqp::content_size(properties.size(), body.size(), frame_max_);
        amqp::store_content(amqp::extend(out_, size), channel_number, properties, body, frame_max_);
        encoded->end = out_position_ + out_.size() - out_sent_;
        return;
    }
    char* to = amqp::extend(out_, amqp::frame_overhead + amqp::content_header_fixed + properties.size());
    to = amqp::store_frame_head(to, amqp::FrameType::header, channel_number,
                                amqp::content_header_fixed + properties.size());
    to = amqp::store(to, amqp::basic_class);
    to = amqp::store(to, std::uint16_t{0});  // weight
    to = amqp::store(to, std::uint64_t{body.size()});
    to = amqp::store_bytes(to, properties);
    amqp::store(to, amqp::frame_end);
    large_ = encoded;
    large_at_ = 0;
    next_body_frame();
}

static std::unexpected<Error> unexpected_bytes(std::string_view what) {
    return fail(Error::Kind::unavailable, fmt::format("it does not speak AMQP 0-9-1 as expected: {}", what));
}

Result<> JobSender::receive(std::string_view bytes) {
    in_ += bytes;
    std::size_t at = 0;
    for (;;) {
        const amqp::FrameParse parsed = amqp::parse_frame(std::string_view(in_).substr(at), frame_bytes_max);
        if (parsed.status == amqp::Parse::need_more) break;
        if (parsed.status != amqp::Parse::complete) return unexpected_bytes("no frame");
        if (Result<> taken = take_frame(parsed.frame); !taken) return taken;
        at += parsed.eaten;
    }
    in_.erase(0, at);
    return {};
}

Result<> JobSender::take_frame(const amqp::Frame& frame) {
    switch (static_cast<amqp::FrameType>(frame.type)) {
        case amqp::FrameType::method:
            if (frame.payload.size() < sizeof(amqp::MethodId))
                return unexpected_bytes("a method without a name");
            return on_method(amqp::load<amqp::MethodId>(frame.payload.data()),
                             frame.payload.substr(sizeof(amqp::MethodId)));
        case amqp::FrameType::header:
            if (std::exchange(expecting_return_, false)) on_returned(frame.payload);
            return {};
        case amqp::FrameType::body:
        case amqp::FrameType::heartbeat:
            return {};
    }
    return unexpected_bytes("a frame of an unknown type");
}

Result<> JobSender::on_method(amqp::MethodId id, std::string_view arguments) {
    struct Step {
        amqp::MethodId id;
        State in;
    };
    static constexpr Step steps[] = {
        {amqp::ConnectionStart::id, State::starting},
        {amqp::ConnectionTune::id, State::tuning},
        {amqp::ConnectionOpenOk::id, State::opening},
        {amqp::ChannelOpenOk::id, State::channel},
        {amqp::ConfirmSelectOk::id, State::confirming},
        {amqp::BasicAck::id, State::ready},
        {amqp::BasicNack::id, State::ready},
        {amqp::BasicReturn::id, State::ready},
    };
    for (const Step& step : steps) {
        if (step.id == id && step.in != state_) return unexpected_bytes(amqp::method_name(id));
    }
    switch (id) {
        case amqp::ConnectionStart::id:
            return on_start();
        case amqp::ConnectionTune::id:
            return on_tune(arguments);
        case amqp::ConnectionOpenOk::id:
            state_ = State::channel;
            amqp::append_method(control(), channel_number, amqp::ChannelOpen{});
            return {};
        case amqp::ChannelOpenOk::id:
            state_ = State::confirming;
            amqp::append_method(control(), channel_number, amqp::ConfirmSelect{});
            return {};
        case amqp::ConfirmSelectOk::id:
            state_ = State::ready;
            unconfirmed_.restart(1);
            encode();
            return {};
        case amqp::BasicAck::id: {
            const auto ack = amqp::decode<amqp::BasicAck>(arguments);
            if (!ack) return unexpected_bytes("Basic.Ack");
            taken_ = !blocked_;
            on_confirm(ack->delivery_tag, ack->multiple, JobOutcome::confirmed);
            return {};
        }
        case amqp::BasicNack::id: {
            const auto nack = amqp::decode<amqp::BasicNack>(arguments);
            if (!nack) return unexpected_bytes("Basic.Nack");
            on_confirm(nack->delivery_tag, nack->multiple, JobOutcome::refused);
            return {};
        }
        case amqp::BasicReturn::id:
            expecting_return_ = true;
            return {};
        case amqp::ConnectionBlocked::id:
            return on_blocked(arguments);
        case amqp::ConnectionUnblocked::id:
            blocked_ = false;
            taken_ = true;
            return {};
        case amqp::ChannelClose::id:
            return on_close(arguments, true);
        case amqp::ConnectionClose::id:
            return on_close(arguments, false);
        default:
            return {};  // channel.flow: the confirm timeout tells
    }
}

Result<> JobSender::on_start() {
    amqp::TableWriter capabilities, properties;
    capabilities.boolean("publisher_confirms", true)
        .boolean("basic.nack", true)
        .boolean("connection.blocked", true);
    properties.text("product", "havn gateway").text("version", HAVN_VERSION);
    properties.table("capabilities", capabilities.table());
    using namespace std::string_literals;
    const std::string response = "\0"s + login_.user + "\0"s + login_.password;
    amqp::ConnectionStartOk ok;
    ok.client_properties = properties.table();
    ok.mechanism = "PLAIN";
    ok.response = std::string_view(response);
    ok.locale = "en_US";
    amqp::append_method(out_, 0, ok);
    state_ = State::tuning;
    return {};
}

Result<> JobSender::on_tune(std::string_view arguments) {
    const auto tune = amqp::decode<amqp::ConnectionTune>(arguments);
    if (!tune || (tune->frame_max != 0 && tune->frame_max < amqp::frame_bytes_min)) {
        return unexpected_bytes("Connection.Tune");
    }
    frame_max_ = tune->frame_max == 0 ? frame_bytes_max : std::min(tune->frame_max, frame_bytes_max);
    heartbeat_ = std::min(tune->heartbeat, heartbeat_max);
    amqp::ConnectionTuneOk ok;
    ok.channel_max = channel_number;
    ok.frame_max = frame_max_;
    ok.heartbeat = heartbeat_;
    amqp::append_method(out_, 0, ok);
    amqp::ConnectionOpen open;
    open.virtual_host = std::string_view(login_.vhost);
    amqp::append_method(out_, 0, open);
    state_ = State::opening;
    return {};
}

// Those that were not sent are told now: sent later, they would be executed after their client was told no.
Result<> JobSender::on_blocked(std::string_view arguments) {
    const auto method = amqp::decode<amqp::ConnectionBlocked>(arguments);
    if (!method) return unexpected_bytes("Connection.Blocked");
    blocked_ = true;
    taken_ = false;
    blocked_reason_.clear();
    for (const char c : std::string_view(method->reason)) {
        blocked_reason_ += c >= ' ' && c <= '~' ? c : '?';
    }
    while (blocked_ && waiting_.count() > 0) {
        PendingPtr pending = waiting_.take(waiting_.first());
        tell(*pending, JobOutcome::blocked);
        drop(std::move(pending));
    }
    return {};
}

// A channel is closed over what it was sent: nothing of it is sent again. A connection for its own reasons.
Result<> JobSender::on_close(std::string_view arguments, bool of_channel) {
    std::string why = "closed by the broker";
    if (const auto close = amqp::decode<amqp::ConnectionClose>(arguments)) {
        why += fmt::format(": {} {}", close->reply_code, std::string_view(close->reply_text));
    }
    state_ = State::closed;  // who is told may publish at once: that waits for the next connection
    const std::uint64_t end = unconfirmed_.end();
    for (std::uint64_t tag = unconfirmed_.first(); of_channel && tag < end; ++tag) {
        PendingPtr pending = unconfirmed_.take(tag);
        if (!pending) continue;
        tell(*pending, JobOutcome::refused);
        drop(std::move(pending));
    }
    return fail(Error::Kind::unavailable, why);
}

// Whoever is told may publish at once: the newcomer has a higher tag.
void JobSender::on_confirm(std::uint64_t tag, bool multiple, JobOutcome outcome) {
    const std::uint64_t end = unconfirmed_.end();
    const std::uint64_t last = multiple && tag == 0 ? end : std::min(tag + 1, end);
    for (std::uint64_t at = multiple ? unconfirmed_.first() : tag; at < last; ++at) {
        if (large_ && large_->number == at) continue;  // not sent whole: no broker confirms it
        PendingPtr pending = unconfirmed_.take(at);
        if (!pending) continue;
        tell(*pending, outcome);
        drop(std::move(pending));
    }
}

// The confirm of a returned message follows; by then nobody waits for it.
void JobSender::on_returned(std::string_view header_payload) {
    const std::optional<amqp::ContentHeader> header = amqp::parse_content_header(header_payload);
    if (!header) return;
    const std::optional<amqp::Properties> properties = amqp::parse_properties(header->properties);
    if (!properties) return;
    const auto entry = by_id_.find(std::string_view(properties->message_id));
    if (entry != by_id_.end() && entry->second->unconfirmed) tell(*entry->second, JobOutcome::unroutable);
}

}  // namespace havn::gateway
