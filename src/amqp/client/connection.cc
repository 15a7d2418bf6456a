#include "amqp/client/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "amqp/client/channel.h"
#include "amqp/client/errors.h"
#include "wire/amqp/methods.h"
#include "wire/amqp/table.h"

namespace havn::amqp::client {

namespace {

constexpr std::size_t short_string_max = 255;

// What both sides want less of; 0 is "any number".
template <class Number>
Number agreed(Number theirs, Number ours) {
    return theirs == 0 ? ours : std::min(theirs, ours);
}

}  // namespace

Connection::Connection(const Options& options, ConnectionHandler& handler)
    : options_(options),
      handler_(handler),
      contents_(options.content_bytes_max),
      frame_max_(options.frame_bytes_max),
      channels_max_(options.channels_max) {}

Connection::~Connection() = default;

void Connection::open(const Login& login, Time now) {
    reset();
    login_ = login;
    now_ = last_received_ = now;
    state_ = State::starting;
    state_due_ = now + options_.handshake_timeout;
    output_.frames() = protocol_header;
}

void Connection::reset() {
    for (std::size_t at = 0; at < slots_.size(); ++at) {
        if (slots_[at].channel) slots_[at].channel->become_closed();
    }
    slots_.clear();
    output_.clear();
    body_channel_ = nullptr;
    state_ = State::idle;
    state_due_ = next_heartbeat_ = replies_due_ = Time::max();
    frame_max_ = options_.frame_bytes_max;
    channels_max_ = options_.channels_max;
    heartbeat_ = seconds(0);
    blocked_ = false;
}

std::unexpected<Error> Connection::end(Error why) {
    state_ = State::over;
    state_due_ = next_heartbeat_ = replies_due_ = Time::max();
    return std::unexpected(std::move(why));
}

void Connection::close(Time now) {
    if (state_ == State::idle || state_ == State::over || state_ == State::closing) return;
    for (Slot& slot : slots_) {
        if (Channel* const channel = std::exchange(slot.channel, nullptr)) channel->become_closed();
    }
    ConnectionClose close;
    close.reply_code = static_cast<Short>(ReplyCode::success);
    close.reply_text = "the client is done";
    append_method(output_.frames(), 0, close);
    state_ = State::closing;
    state_due_ = now + options_.close_timeout;
    next_heartbeat_ = replies_due_ = Time::max();
}

Result<std::size_t> Connection::receive(std::string_view bytes, Time now) {
    now_ = last_received_ = now;
    std::size_t eaten = 0;
    while (state_ != State::idle && state_ != State::over) {
        const FrameParse parsed = parse_frame(bytes.substr(eaten), frame_max_);
        if (parsed.status == Parse::need_more) break;
        if (parsed.status != Parse::complete) return end(unexpected_bytes("no frame").error());
        if (Result<> taken = take_frame(parsed.frame); !taken) return end(std::move(taken.error()));
        eaten += parsed.eaten;
        if (output_.unsent() > options_.unsent_bytes_max) {
            return end({Error::Kind::unavailable, "it does not read what it is sent", {}});
        }
    }
    return eaten;
}

void Connection::sent(std::size_t bytes) {
    output_.sent(bytes);
    if (!body_channel_) return;
    const std::optional<std::uint64_t> body_end = output_.take_body_end();
    if (body_end) std::exchange(body_channel_, nullptr)->on_body_left(*body_end);
}

Time Connection::due() const {
    return std::min({state_due_, next_heartbeat_, replies_due_});
}

Result<> Connection::on_time(Time now) {
    now_ = now;
    if (now >= state_due_) return end({Error::Kind::unavailable, "no answer", {}});
    if (now >= next_heartbeat_) {
        if (now - last_received_ > 2 * heartbeat_) return end({Error::Kind::unavailable, "no heartbeat", {}});
        append_frame(output_.frames(), FrameType::heartbeat, 0, {});
        next_heartbeat_ = now + milliseconds(heartbeat_) / 2;
    }
    if (now < replies_due_) return {};
    replies_due_ = Time::max();
    for (const Slot& slot : slots_) {
        const std::optional<Time> since = slot.channel ? slot.channel->oldest_request() : std::nullopt;
        if (since) replies_due_ = std::min(replies_due_, *since + options_.reply_timeout);
    }
    if (now >= replies_due_) return end({Error::Kind::unavailable, "no answer to a request", {}});
    return {};
}

Result<> Connection::take_frame(const Frame& frame) {
    const auto type = static_cast<FrameType>(frame.type);
    switch (type) {
        case FrameType::heartbeat:
            return {};
        case FrameType::method:
            if (frame.payload.size() < sizeof(MethodId)) return unexpected_bytes("a method without a name");
            break;
        case FrameType::header:
        case FrameType::body:
            if (frame.channel == 0) return unexpected_bytes("content on channel 0");
            break;
        default:
            return unexpected_bytes("a frame of an unknown type");
    }
    if (frame.channel != 0) return take_channel_frame(frame);
    return on_method(load<MethodId>(frame.payload.data()), frame.payload.substr(sizeof(MethodId)));
}

Result<> Connection::take_channel_frame(const Frame& frame) {
    if (state_ == State::closing) return {};
    const std::size_t at = frame.channel - std::size_t{1};
    if (at >= slots_.size() || (!slots_[at].channel && !slots_[at].closing)) {
        return unexpected_bytes("a frame for a channel that is not open");
    }
    const auto type = static_cast<FrameType>(frame.type);
    const auto id = type == FrameType::method ? load<MethodId>(frame.payload.data()) : MethodId{0};
    if (slots_[at].closing) {
        if (id == ChannelCloseOk::id) slots_[at].closing = false;
        if (id == ChannelClose::id) append_method(output_.frames(), frame.channel, ChannelCloseOk{});
        return {};
    }
    Channel& channel = *slots_[at].channel;
    if (type == FrameType::method) return channel.on_method(id, frame.payload.substr(sizeof(MethodId)));
    return type == FrameType::header ? channel.on_header(frame.payload) : channel.on_body(frame.payload);
}

Result<> Connection::on_method(MethodId id, std::string_view arguments) {
    if (id == ConnectionClose::id) return on_close(arguments);
    if (state_ == State::closing) {
        if (id == ConnectionCloseOk::id) {
            state_ = State::over;
            state_due_ = Time::max();
        }
        return {};
    }
    if (id == ConnectionStart::id && state_ == State::starting) return on_start(arguments);
    if (id == ConnectionTune::id && state_ == State::tuning) return on_tune(arguments);
    if (id == ConnectionOpenOk::id && state_ == State::opening) return on_open_ok();
    if (id == ConnectionBlocked::id && state_ != State::starting) return on_blocked(arguments);
    if (id == ConnectionUnblocked::id && state_ != State::starting) {
        blocked_ = false;
        handler_.on_unblocked();
        return {};
    }
    return unexpected_bytes(method_name(id));
}

Result<> Connection::on_start(std::string_view arguments) {
    const std::optional<ConnectionStart> start = decode<ConnectionStart>(arguments);
    if (!start) return unexpected_bytes("Connection.Start");
    if (!start->mechanisms.empty() && !start->mechanisms.contains("PLAIN")) {
        return fail(Error::Kind::denied,
                    fmt::format("it takes no password (SASL PLAIN), only {}", printable(start->mechanisms)),
                    "allow PLAIN at the broker");
    }
    TableWriter capabilities, properties;
    for (const char* const capability :
         {"publisher_confirms", "basic.nack", "connection.blocked", "consumer_cancel_notify",
          "exchange_exchange_bindings", "authentication_failure_close"}) {
        capabilities.boolean(capability, true);
    }
    properties.text("product", options_.product).text("version", HAVN_VERSION);
    properties.table("capabilities", capabilities.table());
    using namespace std::string_literals;
    const std::string response = "\0"s + login_.user + "\0"s + login_.password;
    ConnectionStartOk ok;
    ok.client_properties = properties.table();
    ok.mechanism = "PLAIN";
    ok.response = std::string_view(response);
    ok.locale = "en_US";
    append_method(output_.frames(), 0, ok);
    state_ = State::tuning;
    return {};
}

Result<> Connection::on_tune(std::string_view arguments) {
    const std::optional<ConnectionTune> tune = decode<ConnectionTune>(arguments);
    if (!tune || (tune->frame_max != 0 && tune->frame_max < frame_bytes_min)) {
        return unexpected_bytes("Connection.Tune");
    }
    if (login_.vhost.size() > short_string_max) {
        return fail(Error::Kind::invalid, "the name of the vhost has more than 255 bytes");
    }
    frame_max_ = agreed(tune->frame_max, options_.frame_bytes_max);
    channels_max_ = agreed(tune->channel_max, options_.channels_max);
    heartbeat_ = std::min(seconds(tune->heartbeat), options_.heartbeat_max);
    ConnectionTuneOk ok;
    ok.channel_max = channels_max_;
    ok.frame_max = frame_max_;
    ok.heartbeat = static_cast<Short>(heartbeat_.count());
    append_method(output_.frames(), 0, ok);
    ConnectionOpen open;
    open.virtual_host = std::string_view(login_.vhost);
    append_method(output_.frames(), 0, open);
    state_ = State::opening;
    return {};
}

Result<> Connection::on_open_ok() {
    state_ = State::open;
    state_due_ = Time::max();
    if (heartbeat_ != seconds(0)) next_heartbeat_ = now_ + milliseconds(heartbeat_) / 2;
    handler_.on_connected();
    return {};
}

Result<> Connection::on_blocked(std::string_view arguments) {
    const std::optional<ConnectionBlocked> method = decode<ConnectionBlocked>(arguments);
    if (!method) return unexpected_bytes("Connection.Blocked");
    blocked_ = true;
    handler_.on_blocked(printable(method->reason));
    return {};
}

Result<> Connection::on_close(std::string_view arguments) {
    append_method(output_.frames(), 0, ConnectionCloseOk{});
    return std::unexpected(closed_by_broker(arguments));
}

std::uint16_t Connection::add(Channel& channel) {
    if (state_ != State::open) return 0;
    const auto free =
        std::ranges::find_if(slots_, [](const Slot& slot) { return !slot.channel && !slot.closing; });
    const auto at = static_cast<std::size_t>(free - slots_.begin());
    if (at == slots_.size()) {
        if (slots_.size() >= channels_max_) return 0;
        slots_.emplace_back();
    }
    slots_[at].channel = &channel;
    return static_cast<std::uint16_t>(at + 1);
}

void Connection::remove(std::uint16_t number, bool closing) {
    if (number == 0 || number > slots_.size()) return;
    slots_[number - std::size_t{1}] = {nullptr, closing};
}

void Connection::note_request() {
    replies_due_ = std::min(replies_due_, now_ + options_.reply_timeout);
}

}  // namespace havn::amqp::client
