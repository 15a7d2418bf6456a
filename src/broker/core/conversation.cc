#include "broker/core/conversation.h"

#include <algorithm>

#include "base/assert.h"
#include "wire/amqp/table.h"

namespace havn::broker {

using namespace amqp;

namespace {

constexpr Duration close_timeout = seconds(2);

}  // namespace

std::size_t Conversation::on_bytes(std::string_view in, Time now) {
    if (ended_ || closed()) return in.size();
    vhost_.set_now(now);
    last_heard_ = now;
    std::size_t eaten = 0;
    if (phase_ == Phase::protocol_header) on_protocol_header(in, eaten);
    choked_ = choked_ && backlog() > Session::output_bytes_max;
    while (phase_ != Phase::closed && phase_ != Phase::protocol_header && !paused()) {
        if (deaf_) {
            eaten = in.size();
            break;
        }
        const FrameParse parsed = parse_frame(in.substr(eaten), frame_max_);
        if (parsed.status == Parse::need_more) break;
        if (parsed.status != Parse::complete) {
            on_broken_frame(parsed.status, in.substr(eaten));
            continue;
        }
        if (must_wait(parsed.frame)) break;
        on_frame(parsed.frame);
        eaten += parsed.eaten;
        choked_ = backlog() > Session::output_bytes_deaf;
    }
    finish_input();
    return closed() ? in.size() : eaten;
}

// While an alarm lasts no publish is begun: it stays unread, so that a client which gives up and goes has not
// published. And what has to be fetched from the disk waits until there is memory for it.
bool Conversation::must_wait(const Frame& frame) {
    if (vhost_.alarm().empty() || frame.type != static_cast<std::uint8_t>(FrameType::method)) return false;
    if (!running() || frame.payload.size() < sizeof(MethodId)) return false;
    const auto id = load<MethodId>(frame.payload.data());
    if (id == BasicPublish::id) on_publish();
    if (id == BasicGet::id && !vhost_.may_fetch_large()) starved_ = vhost_.someone_starves = true;
    return held_back_ || starved_;
}

void Conversation::finish_input() {
    if (publishing_) publishing_->anchor();
    publishing_ = nullptr;
    vhost_.run();
    if (!confirming_.empty()) send_confirms();
    account();
    vhost_.check_memory();
}

void Conversation::account() {
    static constexpr std::size_t each_channel = 1'024;
    const std::uint64_t now =
        out.encoded() + unsent_ + held_.size() + partial_bytes + channels_.size() * each_channel;
    if (now > accounted_) {
        vhost_.memory.take(now - accounted_);
    } else {
        vhost_.memory.give_back(accounted_ - now);
    }
    accounted_ = now;
}

void Conversation::send_confirms() {
    const auto nothing_left = [&](Channel* channel) { return !channel->send_confirms(vhost_.durable); };
    std::erase_if(confirming_, nothing_left);
}

void Conversation::on_broken_frame(Parse status, std::string_view in) {
    deaf_ = true;  // where the next frame begins is not known
    if (phase_ == Phase::closing) return;
    if (status == Parse::bad_end) {
        return fail(refuse(ReplyCode::frame_error, "a frame of type {} on channel {} has no end mark",
                           static_cast<unsigned char>(in[0]), load<std::uint16_t>(in.data() + 1))
                        .error(),
                    0);
    }
    fail(refuse(ReplyCode::frame_error, "a frame of {} bytes is larger than the maximum of {}",
                load<std::uint32_t>(in.data() + 3) + frame_overhead, frame_max_)
             .error(),
         0);
}

void Conversation::on_frame(const Frame& frame) {
    if (publishing_ && frame.channel != publishing_->number()) {
        publishing_->anchor();
        publishing_ = nullptr;
    }
    if (frame.type == static_cast<std::uint8_t>(FrameType::heartbeat)) {
        if (frame.channel == 0 || phase_ == Phase::closing) return;
        return fail(refuse(ReplyCode::frame_error, "a heartbeat on channel {}", frame.channel).error(), 0);
    }
    const bool is_method = frame.type == static_cast<std::uint8_t>(FrameType::method);
    if (is_method && frame.payload.size() < sizeof(MethodId)) {
        if (phase_ == Phase::closing) return;
        return fail(
            refuse(ReplyCode::frame_error, "a method frame of {} bytes", frame.payload.size()).error(), 0);
    }
    if (frame.channel == 0) {
        const MethodId id = is_method ? load<MethodId>(frame.payload.data()) : 0;
        const Outcome outcome =
            is_method ? on_connection_method(id, frame.payload.substr(sizeof id))
                      : refuse(ReplyCode::unexpected_frame, "a frame of type {} on channel 0", frame.type);
        if (!outcome) fail(outcome.error(), id);
        return;
    }
    if (running()) return on_channel_frame(frame);
    if (in_handshake()) {
        fail(refuse(ReplyCode::channel_error, "a frame on channel {} before connection.open", frame.channel)
                 .error(),
             0);
    }
}

void Conversation::on_channel_frame(const Frame& frame) {
    const bool is_method = frame.type == static_cast<std::uint8_t>(FrameType::method);
    const MethodId id = is_method ? load<MethodId>(frame.payload.data()) : 0;
    Channel* channel = frame.channel < channels_.size() ? channels_[frame.channel].get() : nullptr;
    if (id == ChannelOpen::id) {
        const Outcome outcome = open_channel(frame.channel);
        if (!outcome) fail(outcome.error(), id);
        return;
    }
    if (!channel) {
        if (id == ChannelCloseOk::id) return;
        return fail(refuse(ReplyCode::channel_error, "expected 'channel.open'").error(), id);
    }
    if (id == ChannelClose::id || id == ChannelCloseOk::id) {
        const bool answer = id == ChannelClose::id;
        channel->close(Return::undone);
        if (publishing_ == channel) publishing_ = nullptr;
        std::erase(confirming_, channel);
        channels_[frame.channel].reset();
        if (answer) send(frame.channel, ChannelCloseOk{});
        return;
    }
    if (channel->closing) return;
    const Outcome outcome = is_method ? channel->on_method(id, frame.payload.substr(sizeof id))
                                      : on_channel_content(*channel, frame);
    publishing_ = channel;
    if (outcome) return;
    const MethodId cause = channel->current_method();
    if (closes_channel_only(outcome.error().code)) {
        fail_channel(*channel, outcome.error(), cause);
    } else {
        fail(outcome.error(), cause);
    }
}

Outcome Conversation::on_channel_content(Channel& channel, const Frame& frame) {
    switch (static_cast<FrameType>(frame.type)) {
        case FrameType::header:
            return channel.on_header(frame.payload);
        case FrameType::body:
            return channel.on_body(frame.payload);
        default:
            return refuse(ReplyCode::frame_error, "a frame of unknown type {}", frame.type);
    }
}

Outcome Conversation::open_channel(std::uint16_t number) {
    if (number > channel_max_) {
        return refuse(ReplyCode::not_allowed, "channel number {} is above the negotiated maximum {}", number,
                      channel_max_);
    }
    if (vhost_.memory_exhausted()) return refuse(ReplyCode::resource_error, "the broker is out of memory");
    if (number >= channels_.size()) channels_.resize(number + 1u);
    if (channels_[number]) return refuse(ReplyCode::channel_error, "second 'channel.open' seen");
    channels_[number] = std::make_unique<Channel>(*this, number);
    send(number, ChannelOpenOk{});
    return {};
}

// Short strings end at 255 bytes; a longer text loses its end.
void Conversation::fail_channel(Channel& channel, const Fault& fault, MethodId cause) {
    channel.close(Return::failed);
    publishing_ = nullptr;
    std::erase(confirming_, &channel);
    send(channel.number(),
         ChannelClose{static_cast<Short>(fault.code), std::string_view(fault.text).substr(0, 255),
                      static_cast<Short>(cause >> 16), static_cast<Short>(cause)});
}

void Conversation::fail(const Fault& fault, MethodId cause, Return how) {
    close_channels(how);
    held_.clear();
    held_until_ = 0;
    send(0, ConnectionClose{static_cast<Short>(fault.code), std::string_view(fault.text).substr(0, 255),
                            static_cast<Short>(cause >> 16), static_cast<Short>(cause)});
    phase_ = Phase::closing;
    close_reason_ = fault.text;
    deadline_ = last_heard_ + close_timeout;
}

void Conversation::shut_down(std::string_view text, Time now) {
    if (ended_ || closed() || phase_ == Phase::closing) return;
    vhost_.set_now(now);
    last_heard_ = now;
    if (phase_ == Phase::protocol_header) return become_closed(text);
    fail(refuse(ReplyCode::connection_forced, "{}", text).error(), 0, Return::undone);
    vhost_.run();
}

void Conversation::become_closed(std::string_view reason) {
    phase_ = Phase::closed;
    if (close_reason_.empty()) close_reason_ = reason;
    vhost_.waker.wake(session_);
}

// Channels first, then the queues that were this connection's alone.
void Conversation::close_channels(Return how) {
    publishing_ = nullptr;
    confirming_.clear();
    for (auto& channel : channels_) {
        if (channel) channel->close(how);
    }
    channels_.clear();
    while (!exclusive_queues.empty()) vhost_.delete_queue(**exclusive_queues.begin());
}

void Conversation::end(Time now) {
    if (ended_) return;
    vhost_.set_now(now);
    close_channels(Return::failed);
    ended_ = true;
    forget_refusal();
    vhost_.connections.erase(this);
    if (!closed()) become_closed("connection lost");
    vhost_.run();
    account();
    vhost_.check_memory();
}

char* Conversation::extend_out(std::size_t bytes) {
    if (out.empty()) vhost_.waker.wake(session_);
    return out.extend(bytes);
}

bool Conversation::has_room() {
    if (!running()) return false;
    if (backlog() < Session::output_bytes_max) return true;
    throttled_ = true;
    return false;
}

void Conversation::on_writable(std::size_t unsent) {
    unsent_ = unsent;
    if (ended_) return account();
    if (choked_ && backlog() <= Session::output_bytes_max) choked_ = false;
    if (throttled_ && backlog() < Session::output_bytes_max) {
        throttled_ = false;
        for (auto& channel : channels_) {
            if (channel) channel->feed_consumers();
        }
        vhost_.run();
    }
    account();
    vhost_.check_memory();
}

void Conversation::on_memory_relieved() {
    if (!starved_) return;
    starved_ = false;
    vhost_.waker.wake(session_);
}

void Conversation::excuse_silence(Time now) {
    if (in_handshake()) deadline_ += now - last_heard_;
    last_heard_ = now;
}

LogPosition Conversation::waits_for() const {
    LogPosition position = held_until_;
    for (const Channel* channel : confirming_) position = std::max(position, channel->waits_for());
    return position;
}

void Conversation::on_durable(LogPosition position) {
    vhost_.durable = std::max(vhost_.durable, position);
    if (ended_) return;
    if (held_until_ != 0 && held_until_ <= vhost_.durable) {
        held_until_ = 0;
        store_bytes(extend_out(held_.size()), held_);
        held_.clear();
    }
    send_confirms();
}

void Conversation::on_publish() {
    published_ = true;
    if (!vhost_.alarm().empty()) on_alarm();
}

void Conversation::shed() {
    if (choked_) {  // a word more would be as unread as the rest
        close_channels(Return::failed);
        return become_closed("the broker is low on memory, and this client does not read what it was sent");
    }
    fail(refuse(ReplyCode::resource_error,
                "the broker is low on memory, and messages begun here take {} bytes of it", partial_bytes)
             .error(),
         BasicPublish::id);
    account();
    vhost_.waker.wake(session_);
}

// Only those who publish are held back. Whoever asked for it is told, once; the gateway before it publishes,
// so that it need not hand over a job to find out.
void Conversation::on_alarm() {
    const bool alarm = !vhost_.alarm().empty(), was_held_back = held_back_;
    held_back_ = alarm && published_;
    if (was_held_back && !held_back_) vhost_.waker.wake(session_);  // may be read again
    const bool concerned = alarm && (published_ || peer_.gateway);
    if (concerned == blocked_ || !running()) return;
    blocked_ = concerned;
    if (!wants_blocked_) return;
    if (blocked_) {
        send(0, ConnectionBlocked{std::string_view(vhost_.alarm()).substr(0, 255)});
    } else {
        send(0, ConnectionUnblocked{});
    }
}

Time Conversation::next_deadline() const {
    if (ended_ || closed()) return Time::max();
    if (!running()) return deadline_;
    if (heartbeat_ == Duration{}) return Time::max();
    const Time drop = silence_is_ours() ? Time::max() : last_heard_ + 2 * heartbeat_;
    return std::min(last_beat_ + heartbeat_ / 2, drop);
}

void Conversation::on_time(Time now) {
    if (now < next_deadline()) return;
    if (phase_ == Phase::refusing) return finish_refusal();
    if (!running())
        return become_closed(in_handshake() ? "the handshake took too long" : "no answer to close");
    if (now >= last_beat_ + heartbeat_ / 2) {
        last_beat_ = now;
        if (backlog() == 0) send_heartbeat();
    }
    if (!silence_is_ours() && now >= last_heard_ + 2 * heartbeat_)
        become_closed("missed heartbeats from the client");
}

void Conversation::send_heartbeat() {
    char* to = extend_out(frame_overhead);
    store(store_frame_head(to, FrameType::heartbeat, 0, 0), frame_end);
}

}  // namespace havn::broker
