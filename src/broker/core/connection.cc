#include "broker/core/connection.h"

#include <algorithm>
#include <utility>

namespace havn::broker {

using namespace amqp;

namespace {

constexpr Duration close_timeout = seconds(2);
constexpr std::size_t channel_bytes = 1'024;  // a channel and its parts, about

}  // namespace

Connection::Connection(ConnectionContext& context, Peer peer, Time now)
    : context_(context),
      peer_(std::move(peer)),
      outbox_(context, *this),
      gate_(context, outbox_, peer_.gateway),
      handshake_(context, outbox_, peer_.loopback, now),
      heartbeat_{.last_heard = now, .last_sent = now} {
    context_.host.add(*this);
}

Connection::~Connection() {
    end(heartbeat_.last_heard);
    context_.store.budget().give_back(accounted_);  // what was never sent went with it
    context_.host.check_memory();
}

std::size_t Connection::on_bytes(std::string_view in, Time now) {
    if (ended_ || closed()) return in.size();
    context_.clock.set(now);
    heartbeat_.last_heard = now;
    std::size_t eaten = 0;
    if (handshake_.step() == Handshake::Step::protocol_header && !handshake_.on_protocol_header(in, eaten)) {
        become_closed("the client does not speak AMQP 0-9-1");
    }
    outbox_.note_read();
    while (!closed() && handshake_.step() != Handshake::Step::protocol_header && !paused()) {
        if (framing_lost_) {
            eaten = in.size();
            break;
        }
        const FrameParse parsed = parse_frame(in.substr(eaten), outbox_.frame_max());
        if (parsed.status == Parse::need_more) break;
        if (parsed.status != Parse::complete) {
            on_broken_frame(parsed.status, in.substr(eaten));
            continue;
        }
        if (must_wait(parsed.frame)) break;
        on_frame(parsed.frame);
        eaten += parsed.eaten;
        outbox_.note_choked();
    }
    finish_input();
    return closed() ? in.size() : eaten;
}

// While an alarm lasts no publish is begun: it stays unread, so that a client which gives up and goes has not
// published. And what has to be fetched from the disk waits until there is memory for it.
bool Connection::must_wait(const Frame& frame) {
    if (context_.alarm.empty() || frame.type != static_cast<std::uint8_t>(FrameType::method)) return false;
    if (!running() || frame.payload.size() < sizeof(MethodId)) return false;
    const auto id = load<MethodId>(frame.payload.data());
    if (id == BasicPublish::id) gate_.on_publish();
    if (id == BasicGet::id && !context_.store.may_fetch_large()) {
        waits_for_memory_ = context_.store.somebody_waits_for_memory = true;
    }
    return gate_.held_back() || waits_for_memory_;
}

void Connection::finish_input() {
    if (publishing_) publishing_->detach_from_input();
    publishing_ = nullptr;
    context_.scheduler.run();
    if (!confirming_.empty()) send_confirms();
    account();
    context_.host.check_memory();
}

void Connection::account() {
    const std::uint64_t now =
        outbox_.bytes_held() + holdings_.unfinished_bytes + channels_.size() * channel_bytes;
    if (now > accounted_) {
        context_.store.budget().take(now - accounted_);
    } else {
        context_.store.budget().give_back(accounted_ - now);
    }
    accounted_ = now;
}

void Connection::send_confirms() {
    std::erase_if(confirming_, [&](Channel* channel) {
        channel->send_confirms(context_.durable);
        channel->listed = channel->has_confirms();
        return !channel->listed;
    });
}

void Connection::on_broken_frame(Parse status, std::string_view in) {
    framing_lost_ = true;  // where the next frame begins is not known
    if (phase_ == Phase::closing) return;
    if (status == Parse::bad_end) {
        return fail(refuse(ReplyCode::frame_error, "a frame of type {} on channel {} has no end mark",
                           static_cast<unsigned char>(in[0]), load<std::uint16_t>(in.data() + 1))
                        .error(),
                    0);
    }
    fail(refuse(ReplyCode::frame_error, "a frame of {} bytes is larger than the maximum of {}",
                load<std::uint32_t>(in.data() + 3) + frame_overhead, outbox_.frame_max())
             .error(),
         0);
}

void Connection::on_frame(const Frame& frame) {
    if (publishing_ && frame.channel != publishing_->number()) {
        publishing_->detach_from_input();
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
    if (phase_ == Phase::handshake && handshake_.step() != Handshake::Step::refusing) {
        fail(refuse(ReplyCode::channel_error, "a frame on channel {} before connection.open", frame.channel)
                 .error(),
             0);
    }
}

Outcome Connection::on_connection_method(MethodId id, std::string_view arguments) {
    if (phase_ == Phase::closing) {
        if (id == ConnectionCloseOk::id) become_closed({});
        if (id != ConnectionClose::id) return {};
    }
    if (id == ConnectionClose::id) {
        close_channels(Return::undone);
        outbox_.send(0, ConnectionCloseOk{});
        closed_by_client_ = phase_ != Phase::closing;
        become_closed({});
        return {};
    }
    if (id == ConnectionBlocked::id || id == ConnectionUnblocked::id) return {};
    if (id == ConnectionUpdateSecret::id && running()) {
        // Log-in was checked once and passwords do not expire here: there is nothing to renew.
        if (!decode<ConnectionUpdateSecret>(arguments)) {
            return refuse(ReplyCode::syntax_error, "malformed {}", ConnectionUpdateSecret::title);
        }
        outbox_.send(0, ConnectionUpdateSecretOk{});
        return {};
    }
    Outcome outcome = handshake_.on_method(id, arguments);
    if (outcome && phase_ == Phase::handshake && handshake_.done()) begin_to_run();
    return outcome;
}

void Connection::begin_to_run() {
    phase_ = Phase::running;
    heartbeat_.interval = handshake_.terms().heartbeat;
    heartbeat_.last_sent = heartbeat_.last_heard;
    gate_.open(handshake_.terms().wants_blocked);
}

void Connection::on_channel_frame(const Frame& frame) {
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
        return close_channel(*channel, id == ChannelClose::id);
    }
    if (channel->closing()) return;
    const Outcome outcome = is_method
                                ? channel->on_method(id, frame.payload.substr(sizeof id))
                                : channel->on_content(static_cast<FrameType>(frame.type), frame.payload);
    publishing_ = channel;
    if (!outcome) return on_fault(*channel, outcome.error());
    if (channel->listed || !channel->has_confirms()) return;
    channel->listed = true;
    confirming_.push_back(channel);
}

void Connection::on_fault(Channel& channel, const Fault& fault) {
    const MethodId cause = channel.current_method();
    if (closes_channel_only(fault.code)) {
        fail_channel(channel, fault, cause);
    } else {
        fail(fault, cause);
    }
}

Outcome Connection::open_channel(std::uint16_t number) {
    const Terms& terms = handshake_.terms();
    if (number > terms.channel_max) {
        return refuse(ReplyCode::not_allowed, "channel number {} is above the negotiated maximum {}", number,
                      terms.channel_max);
    }
    if (context_.store.exhausted()) {
        return refuse(ReplyCode::resource_error, "the broker is out of memory");
    }
    if (number >= channels_.size()) channels_.resize(number + 1u);
    if (channels_[number]) return refuse(ReplyCode::channel_error, "second 'channel.open' seen");
    channels_[number] = std::make_unique<Channel>(
        ChannelContext{context_, *terms.vhost, terms, outbox_, gate_, holdings_, number});
    outbox_.send(number, ChannelOpenOk{});
    return {};
}

void Connection::forget_input_of(const Channel& channel) {
    if (publishing_ == &channel) publishing_ = nullptr;
    std::erase(confirming_, &channel);
}

void Connection::close_channel(Channel& channel, bool answer) {
    const std::uint16_t number = channel.number();
    channel.close(Return::undone);
    forget_input_of(channel);
    channels_[number].reset();
    if (answer) outbox_.send(number, ChannelCloseOk{});
}

// Short strings end at 255 bytes; a longer text loses its end.
void Connection::fail_channel(Channel& channel, const Fault& fault, MethodId cause) {
    channel.close(Return::failed);
    forget_input_of(channel);
    outbox_.send(channel.number(),
                 ChannelClose{static_cast<Short>(fault.code), std::string_view(fault.text).substr(0, 255),
                              static_cast<Short>(cause >> 16), static_cast<Short>(cause)});
}

void Connection::fail(const Fault& fault, MethodId cause, Return how) {
    close_channels(how);
    outbox_.drop_held();
    outbox_.send(0,
                 ConnectionClose{static_cast<Short>(fault.code), std::string_view(fault.text).substr(0, 255),
                                 static_cast<Short>(cause >> 16), static_cast<Short>(cause)});
    phase_ = Phase::closing;
    gate_.close();
    close_reason_ = fault.text;
    close_deadline_ = heartbeat_.last_heard + close_timeout;
}

void Connection::shut_down(std::string_view text, Time now) {
    if (ended_ || closed() || phase_ == Phase::closing) return;
    context_.clock.set(now);
    heartbeat_.last_heard = now;
    if (handshake_.step() == Handshake::Step::protocol_header) return become_closed(text);
    fail(refuse(ReplyCode::connection_forced, "{}", text).error(), 0, Return::undone);
    context_.scheduler.run();
}

void Connection::become_closed(std::string_view reason) {
    phase_ = Phase::closed;
    gate_.close();
    if (close_reason_.empty()) close_reason_ = reason;
    outbox_.wake();
}

// Channels first, then the queues that were this connection's alone.
void Connection::close_channels(Return how) {
    publishing_ = nullptr;
    confirming_.clear();
    for (auto& channel : channels_) {
        if (channel) channel->close(how);
    }
    channels_.clear();
    std::unordered_set<Queue*>& exclusive = holdings_.exclusive.queues;
    while (!exclusive.empty()) handshake_.terms().vhost->delete_queue(**exclusive.begin());
}

void Connection::end(Time now) {
    if (ended_) return;
    context_.clock.set(now);
    close_channels(Return::failed);
    ended_ = true;
    handshake_.forget_refusal();
    context_.host.remove(*this);
    if (!closed()) become_closed("connection lost");
    context_.scheduler.run();
    account();
    context_.host.check_memory();
}

void Connection::on_writable(std::size_t unsent) {
    outbox_.set_unsent(unsent);
    if (ended_) return account();
    outbox_.note_read();
    if (outbox_.room_is_back()) {
        for (auto& channel : channels_) {
            if (channel) channel->on_room();
        }
        context_.scheduler.run();
    }
    account();
    context_.host.check_memory();
}

void Connection::on_memory_relieved() {
    if (!std::exchange(waits_for_memory_, false)) return;
    outbox_.wake();
}

LogPosition Connection::waits_for() const {
    LogPosition position = outbox_.held_until();
    for (const Channel* channel : confirming_) position = std::max(position, channel->waits_for());
    return position;
}

void Connection::on_durable(LogPosition position) {
    context_.durable = std::max(context_.durable, position);
    if (ended_) return;
    outbox_.release_held();
    send_confirms();
}

void Connection::shed() {
    if (choked()) {  // a word more would be as unread as the rest
        close_channels(Return::failed);
        return become_closed("the broker is low on memory, and this client does not read what it was sent");
    }
    fail(refuse(ReplyCode::resource_error,
                "the broker is low on memory, and messages begun here take {} bytes of it",
                holdings_.unfinished_bytes)
             .error(),
         BasicPublish::id);
    account();
    outbox_.wake();
}

void Connection::excuse_silence(Time now) {
    if (phase_ == Phase::handshake) handshake_.extend_deadline(now - heartbeat_.last_heard);
    heartbeat_.last_heard = now;
}

Time Connection::next_deadline() const {
    if (ended_ || closed()) return Time::max();
    if (phase_ == Phase::handshake) return handshake_.deadline();
    if (phase_ == Phase::closing) return close_deadline_;
    if (heartbeat_.interval == Duration{}) return Time::max();
    return std::min(heartbeat_.next_beat(), is_silence_ours() ? Time::max() : heartbeat_.lost_at());
}

void Connection::on_time(Time now) {
    if (now < next_deadline()) return;
    if (phase_ == Phase::closing) return become_closed("no answer to close");
    if (phase_ == Phase::handshake) {
        if (handshake_.step() == Handshake::Step::refusing) return end_refusal();
        return become_closed("the handshake took too long");
    }
    if (now >= heartbeat_.next_beat()) {
        heartbeat_.last_sent = now;
        if (outbox_.unread() == 0) outbox_.send_heartbeat();
    }
    if (!is_silence_ours() && now >= heartbeat_.lost_at()) become_closed("missed heartbeats from the client");
}

void Connection::end_refusal() {
    const Time delayed_until = handshake_.deadline();
    switch (handshake_.end_refusal()) {
        case Handshake::Refusal::revoked:
            return;
        case Handshake::Refusal::silent:
            return become_closed(handshake_.refusal());
        case Handshake::Refusal::told:
            heartbeat_.last_heard = delayed_until;
            return fail({ReplyCode::access_refused, handshake_.refusal()}, ConnectionStartOk::id);
    }
}

}  // namespace havn::broker
