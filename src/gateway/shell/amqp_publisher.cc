#include "gateway/shell/amqp_publisher.h"

#include <algorithm>

#include "base/log.h"
#include "gateway/shell/worker.h"
#include "io/net.h"
#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::gateway {

static constexpr std::uint16_t channel = 1;
static constexpr std::uint32_t frame_bytes_max = 131072;
static constexpr std::size_t content_overhead = 64;  // of a header frame beside its properties
static constexpr std::uint16_t heartbeat_max = 30;   // s
static constexpr milliseconds back_off_first{20}, back_off_max{2'000}, handshake_max{5'000};
static constexpr seconds silence_max{15};  // with messages to confirm

std::string_view Publisher::name(Outcome outcome) {
    switch (outcome) {
        case Outcome::confirmed:
            return "confirmed";
        case Outcome::unroutable:
            return "unroutable";
        case Outcome::refused:
            return "refused";
        case Outcome::timed_out:
            return "timeout";
    }
    return "";
}

std::string_view Publisher::message(Outcome outcome) {
    switch (outcome) {
        case Outcome::confirmed:
            return "the job is queued";
        case Outcome::unroutable:
            return "the queue of this route does not exist; the job was not accepted";
        case Outcome::refused:
            return "the broker refused the job; it was not accepted";
        case Outcome::timed_out:
            return "the broker did not confirm the job in time; send it again";
    }
    return "";
}

AmqpPublisher::~AmqpPublisher() {
    worker_.deadlines().clear(*this);
}

void AmqpPublisher::set_broker(const BrokerAddress& broker) {
    const bool same = broker.address == broker_.address && broker.user == broker_.user &&
                      broker.password == broker_.password && broker.vhost == broker_.vhost;
    broker_ = broker;
    if (!same && state_ != State::idle) disconnect("another broker is configured");
}

void AmqpPublisher::publish(Job job, Waiter& waiter) {
    auto pending = std::make_unique<Pending>(std::move(job), &waiter);
    if (state_ == State::ready) {
        send_job(std::move(pending));
    } else {
        unsent_.push_back(std::move(pending));
        if (state_ == State::idle) connect();
    }
}

// What was not sent is withdrawn; of what was, only the answer is no longer wanted.
void AmqpPublisher::forget(Waiter& waiter) {
    std::erase_if(unsent_, [&](const auto& pending) { return pending->waiter == &waiter; });
    for (auto& [tag, pending] : sent_) {
        if (pending->waiter == &waiter) pending->waiter = nullptr;
    }
    if (state_ == State::ready && !sent_.empty() && worker_.now() - last_received_ > silence_max) {
        disconnect("it confirms nothing");
    }
}

void AmqpPublisher::tell(Pending& pending, Outcome outcome) {
    if (pending.waiter) std::exchange(pending.waiter, nullptr)->on_published(outcome);
}

void AmqpPublisher::connect() {
    const Result<io::Address> address = io::parse_address(broker_.address);
    if (!address) return disconnect(address.error().text());
    const auto& endpoint = address->endpoint;
    io::Fd fd(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    socket_ = Socket(std::move(fd));
    state_ = State::connecting;
    worker_.deadlines().set(*this, worker_.now() + handshake_max);
    const int connected = ::connect(socket_.fd(), endpoint.data(), static_cast<socklen_t>(endpoint.size()));
    if (connected != 0 && errno != EINPROGRESS) return disconnect(fail_errno("connect").error().message);
    socket_.not_writable_yet();
    const Result<> added = worker_.poller().add(socket_.fd(), *this, Poller::edge);
    if (!added) disconnect(added.error().message);
}

void AmqpPublisher::begin_handshake() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return disconnect(fail_errno("connect", error).error().message);
    state_ = State::handshaking;
    in_.clear();
    out_ = std::string(amqp::protocol_header);
    out_sent_ = 0;
}

// Everything unsent, and everything sent and not confirmed whose client still waits, is sent on the next one.
void AmqpPublisher::disconnect(const std::string& why) {
    if (failures_ == 0) log::warning("broker {}: {}; connecting again", broker_.address, why);
    socket_.close();
    expecting_return_ = false;
    for (auto tagged = sent_.rbegin(); tagged != sent_.rend(); ++tagged) {
        if (tagged->second->waiter) unsent_.push_front(std::move(tagged->second));
    }
    sent_.clear();
    state_ = State::backing_off;
    const milliseconds wait = std::min(back_off_first * (1u << std::min(failures_, 10u)), back_off_max);
    worker_.deadlines().set(*this, worker_.now() + (failures_ == 0 ? milliseconds(1) : wait));
    ++failures_;
}

void AmqpPublisher::become_ready() {
    if (failures_ > 1) log::info("broker {}: connected", broker_.address);
    failures_ = 0;
    state_ = State::ready;
    next_tag_ = 1;
    arm_heartbeat();
    std::deque<std::unique_ptr<Pending>> waiting = std::exchange(unsent_, {});
    for (std::unique_ptr<Pending>& pending : waiting) send_job(std::move(pending));
}

void AmqpPublisher::arm_heartbeat() {
    if (heartbeat_ == 0) return worker_.deadlines().clear(*this);
    worker_.deadlines().set(*this, worker_.now() + milliseconds(heartbeat_ * 500));
}

void AmqpPublisher::on_deadline() {
    switch (state_) {
        case State::idle:
            break;
        case State::backing_off:
            state_ = State::idle;
            if (!unsent_.empty()) connect();
            break;
        case State::connecting:
        case State::handshaking:
            disconnect("no answer");
            break;
        case State::ready:
            if (worker_.now() - last_received_ > seconds(2 * heartbeat_)) return disconnect("no heartbeat");
            amqp::append_frame(out_, amqp::FrameType::heartbeat, 0, {});
            arm_heartbeat();
            break;
    }
}

void AmqpPublisher::on_ready(std::uint32_t events) {
    if (!socket_.is_open()) return;
    socket_.note(events);
    if (state_ == State::connecting && (socket_.writable() || socket_.broken())) begin_handshake();
    if (state_ == State::handshaking || state_ == State::ready) receive();
}

// What this turn's requests published leaves together.
void AmqpPublisher::end_of_turn() {
    if (out_sent_ == out_.size() || state_ == State::connecting || !socket_.is_open() || !socket_.writable())
        return;
    Outgoing outgoing{{}, std::string_view(out_).substr(out_sent_)};
    const Socket::Status status = socket_.send(outgoing);
    out_sent_ = out_.size() - outgoing.body.size();
    if (out_sent_ == out_.size()) {
        out_.clear();
        out_sent_ = 0;
        if (out_.capacity() > 1u << 20) out_.shrink_to_fit();
    }
    if (status == Socket::Status::failed) disconnect("connection lost");
}

void AmqpPublisher::receive() {
    char buffer[16384];
    while (socket_.is_open() && socket_.readable()) {
        const Socket::Received received = socket_.receive(buffer, sizeof buffer);
        if (received.status == Socket::Status::blocked) return;
        if (received.status != Socket::Status::ok) return disconnect("connection closed");
        last_received_ = worker_.now();
        in_.append(buffer, received.size);
        std::size_t at = 0;
        while (socket_.is_open()) {
            const amqp::FrameParse parsed =
                amqp::parse_frame(std::string_view(in_).substr(at), frame_bytes_max);
            if (parsed.status == amqp::Parse::need_more) break;
            if (parsed.status != amqp::Parse::complete || !take_frame(parsed.frame)) {
                if (socket_.is_open()) disconnect("it does not speak AMQP 0-9-1 as expected");
                return;
            }
            at += parsed.eaten;
        }
        in_.erase(0, at);
    }
}

bool AmqpPublisher::take_frame(const amqp::Frame& frame) {
    switch (static_cast<amqp::FrameType>(frame.type)) {
        case amqp::FrameType::method: {
            if (frame.payload.size() < 4) return false;
            return on_method(amqp::load<amqp::MethodId>(frame.payload.data()), frame.payload.substr(4));
        }
        case amqp::FrameType::header:
            if (std::exchange(expecting_return_, false)) on_returned(frame.payload);
            return true;
        case amqp::FrameType::body:
        case amqp::FrameType::heartbeat:
            return true;
    }
    return false;
}

bool AmqpPublisher::on_method(amqp::MethodId id, std::string_view arguments) {
    switch (id) {
        case amqp::ConnectionStart::id:
            return on_start();
        case amqp::ConnectionTune::id:
            return on_tune(arguments);
        case amqp::ConnectionOpenOk::id:
            amqp::append_method(out_, channel, amqp::ChannelOpen{});
            return true;
        case amqp::ChannelOpenOk::id:
            amqp::append_method(out_, channel, amqp::ConfirmSelect{});
            return true;
        case amqp::ConfirmSelectOk::id:
            become_ready();
            return true;
        case amqp::BasicAck::id: {
            const auto ack = amqp::decode<amqp::BasicAck>(arguments);
            if (ack) on_confirm(ack->delivery_tag, ack->multiple, Outcome::confirmed);
            return ack.has_value();
        }
        case amqp::BasicNack::id: {
            const auto nack = amqp::decode<amqp::BasicNack>(arguments);
            if (nack) on_confirm(nack->delivery_tag, nack->multiple, Outcome::refused);
            return nack.has_value();
        }
        case amqp::BasicReturn::id:
            expecting_return_ = true;
            return true;
        case amqp::ChannelClose::id:
            return on_close(arguments, true);
        case amqp::ConnectionClose::id:
            return on_close(arguments, false);
        default:
            return true;  // blocked, unblocked, flow: the confirm timeout tells
    }
}

bool AmqpPublisher::on_start() {
    amqp::TableWriter capabilities, properties;
    capabilities.boolean("publisher_confirms", true)
        .boolean("basic.nack", true)
        .boolean("connection.blocked", true);
    properties.text("product", "havn gateway").text("version", HAVN_VERSION);
    properties.table("capabilities", capabilities.table());
    using namespace std::string_literals;
    const std::string response = "\0"s + broker_.user + "\0"s + broker_.password;
    amqp::ConnectionStartOk ok;
    ok.client_properties = properties.table();
    ok.mechanism = "PLAIN";
    ok.response = std::string_view(response);
    ok.locale = "en_US";
    amqp::append_method(out_, 0, ok);
    return true;
}

bool AmqpPublisher::on_tune(std::string_view arguments) {
    const auto tune = amqp::decode<amqp::ConnectionTune>(arguments);
    if (!tune) return false;
    frame_max_ = tune->frame_max == 0 ? frame_bytes_max : std::min(tune->frame_max, frame_bytes_max);
    heartbeat_ = std::min(tune->heartbeat, heartbeat_max);
    amqp::ConnectionTuneOk ok;
    ok.channel_max = channel;
    ok.frame_max = frame_max_;
    ok.heartbeat = heartbeat_;
    amqp::append_method(out_, 0, ok);
    amqp::ConnectionOpen open;
    open.virtual_host = std::string_view(broker_.vhost);
    amqp::append_method(out_, 0, open);
    return true;
}

// A channel is closed over what it was sent: nothing of it is sent again. A connection for its own reasons.
bool AmqpPublisher::on_close(std::string_view arguments, bool of_channel) {
    std::string why = "closed by the broker";
    if (const auto close = amqp::decode<amqp::ConnectionClose>(arguments)) {
        why = fmt::format("closed by the broker: {} {}", close->reply_code,
                          std::string_view(close->reply_text));
    }
    if (of_channel) {
        Tags refused = std::exchange(sent_, {});
        disconnect(why);
        for (auto& [tag, pending] : refused) tell(*pending, Outcome::refused);
    } else {
        disconnect(why);
    }
    return true;
}

void AmqpPublisher::on_confirm(std::uint64_t tag, bool multiple, Outcome outcome) {
    // Whoever is told may publish at once: the newcomer has a higher tag.
    auto at = multiple ? sent_.begin() : sent_.find(tag);
    while (at != sent_.end() && at->first <= tag) {
        const std::unique_ptr<Pending> pending = std::move(at->second);
        at = sent_.erase(at);
        tell(*pending, outcome);
    }
}

// The confirm of a returned message follows; by then nobody waits for it.
void AmqpPublisher::on_returned(std::string_view header_payload) {
    const std::optional<amqp::ContentHeader> header = amqp::parse_content_header(header_payload);
    if (!header) return;
    const std::optional<amqp::Properties> properties = amqp::parse_properties(header->properties);
    if (!properties) return;
    for (auto& [tag, pending] : sent_) {
        if (pending->job.id == properties->message_id) return tell(*pending, Outcome::unroutable);
    }
}

static std::string job_properties(const Publisher::Job& job) {
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

void AmqpPublisher::send_job(std::unique_ptr<Pending> pending) {
    const Job& job = pending->job;
    const std::string properties = job_properties(job);
    if (properties.size() + content_overhead > frame_max_) return tell(*pending, Outcome::refused);
    amqp::BasicPublish publish;
    publish.routing_key = std::string_view(job.queue);
    publish.mandatory = true;
    amqp::append_method(out_, channel, publish);
    const std::size_t size = amqp::content_size(properties.size(), job.body.size(), frame_max_);
    amqp::store_content(amqp::extend(out_, size), channel, properties, job.body, frame_max_);
    sent_.emplace_hint(sent_.end(), next_tag_++, std::move(pending));
}

}  // namespace havn::gateway
