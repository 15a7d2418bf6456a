#include "broker/core/protocol/handshake.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "wire/amqp/table.h"

namespace havn::broker {

using namespace amqp;

namespace {

constexpr Duration handshake_timeout = seconds(10);
constexpr Duration refusal_delay = milliseconds(300);  // so that guessing passwords takes its time
constexpr Duration refusal_delay_max = seconds(8);     // when many are refused at once
constexpr std::uint16_t channel_max_least = 1;

// "\0user\0password" (RFC 4616; an authorisation identity before the first zero is ignored).
struct CredentialsView {
    std::string_view user, password;
};

std::optional<CredentialsView> plain_credentials(std::string_view response) {
    const std::size_t first = response.find('\0');
    if (first == std::string_view::npos) return std::nullopt;
    const std::size_t second = response.find('\0', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    return CredentialsView{response.substr(first + 1, second - first - 1), response.substr(second + 1)};
}

// A field table without its length.
std::optional<CredentialsView> amqplain_credentials(std::string_view response) {
    if (!is_valid_table(response)) return std::nullopt;
    const auto user = find(Table{response}, "LOGIN"), password = find(Table{response}, "PASSWORD");
    if (!user || !password || !user->text() || !password->text()) return std::nullopt;
    return CredentialsView{*user->text(), *password->text()};
}

std::string server_properties() {
    TableWriter capabilities;
    for (const std::string_view name :
         {"publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
          "connection.blocked", "consumer_priorities", "authentication_failure_close", "per_consumer_qos",
          "direct_reply_to"}) {
        capabilities.boolean(name, true);
    }
    TableWriter properties;
    properties.table("capabilities", capabilities.table())
        .text("cluster_name", "havn")
        .text("copyright", "Copyright (c) the authors of Havn")
        .text("information", "Licensed under the Apache License 2.0")
        .text("platform", "C++")
        .text("product", "Havn")
        .text("version", HAVN_VERSION);
    return properties.bytes();
}

}  // namespace

Handshake::Handshake(ConnectionContext& context, Outbox& out, bool loopback, Time now)
    : context_(context), out_(out), loopback_(loopback), deadline_(now + handshake_timeout) {}

bool Handshake::on_protocol_header(std::string_view in, std::size_t& eaten) {
    const std::string_view begun = in.substr(0, protocol_header.size());
    if (begun != protocol_header.substr(0, begun.size())) {
        out_.send_bytes(protocol_header);  // the version spoken here
        return false;
    }
    if (begun.size() < protocol_header.size()) return true;
    eaten = protocol_header.size();
    step_ = Step::start_ok;
    const std::string properties = server_properties();
    out_.send(0, ConnectionStart{0, 9, {properties}, "PLAIN AMQPLAIN", "en_US"});
    return true;
}

template <class Method>
Outcome Handshake::call(Step step, Outcome (Handshake::*handler)(const Method&), std::string_view arguments) {
    if (step_ != step) return refuse(ReplyCode::command_invalid, "{} is out of place", Method::title);
    const std::optional<Method> method = decode<Method>(arguments);
    if (!method) return refuse(ReplyCode::syntax_error, "malformed {}", Method::title);
    return (this->*handler)(*method);
}

Outcome Handshake::on_method(MethodId id, std::string_view arguments) {
    switch (id) {
        case ConnectionStartOk::id:
            return call(Step::start_ok, &Handshake::on_start_ok, arguments);
        case ConnectionTuneOk::id:
            return call(Step::tune_ok, &Handshake::on_tune_ok, arguments);
        case ConnectionOpen::id:
            return call(Step::open, &Handshake::on_open, arguments);
        default:
            if (step_ == Step::refusing) return {};
            return refuse(ReplyCode::command_invalid, "{} is not expected from a client on channel 0",
                          method_name(id));
    }
}

Outcome Handshake::on_start_ok(const ConnectionStartOk& method) {
    read_capabilities(method.client_properties);
    std::optional<CredentialsView> credentials;
    if (method.mechanism == "PLAIN") {
        credentials = plain_credentials(method.response);
    } else if (method.mechanism == "AMQPLAIN") {
        credentials = amqplain_credentials(method.response);
    } else {
        return refuse(ReplyCode::command_invalid, "unknown authentication mechanism '{}'",
                      std::string_view(method.mechanism));
    }
    if (credentials && context_.host.may_log_in(credentials->user, credentials->password, loopback_)) {
        accept_login(credentials->user);
        return {};
    }
    if (credentials) refused_ = {std::string(credentials->user), std::string(credentials->password)};
    refuse_login(method.mechanism);
    return {};
}

void Handshake::accept_login(std::string_view user) {
    terms_.user = user;
    step_ = Step::tune_ok;
    out_.send(0, ConnectionTune{context_.config.channels_max, context_.config.frame_bytes_max,
                                static_cast<Short>(context_.config.heartbeat_seconds)});
}

void Handshake::read_capabilities(Table client_properties) {
    const auto value = find(client_properties, "capabilities");
    const auto capabilities = value ? value->table() : std::nullopt;
    if (!capabilities) return;
    const auto can = [&](std::string_view name) {
        const auto capability = find(*capabilities, name);
        return capability && capability->boolean().value_or(false);
    };
    terms_.wants_auth_failure_close = can("authentication_failure_close");
    terms_.wants_cancel_notice = can("consumer_cancel_notify");
    terms_.wants_blocked = can("connection.blocked");
}

void Handshake::refuse_login(std::string_view mechanism) {
    step_ = Step::refusing;
    counted_as_refused_ = true;
    const Time now{milliseconds(context_.clock.now())};
    deadline_ = now + std::min(refusal_delay * static_cast<int>(++context_.refusals), refusal_delay_max);
    refusal_ = fmt::format(
        "ACCESS_REFUSED - Login was refused using authentication mechanism {}. For details see the broker "
        "logfile.",
        mechanism);
}

void Handshake::forget_refusal() {
    if (std::exchange(counted_as_refused_, false)) --context_.refusals;
}

// A broker that has just been started may be told of its users a moment after its first clients came.
Handshake::Refusal Handshake::end_refusal() {
    forget_refusal();
    const Credentials refused = std::exchange(refused_, {});
    if (!refused.user.empty() && context_.host.may_log_in(refused.user, refused.password, loopback_)) {
        refusal_.clear();
        deadline_ += handshake_timeout;
        accept_login(refused.user);
        return Refusal::revoked;
    }
    return terms_.wants_auth_failure_close ? Refusal::told : Refusal::silent;
}

// The client may lower what was offered, not raise it. 0 means no limit, which is more than any.
Outcome Handshake::on_tune_ok(const ConnectionTuneOk& method) {
    const std::uint32_t frames = context_.config.frame_bytes_max, channels = context_.config.channels_max;
    if (method.frame_max != 0 && method.frame_max < frame_bytes_min) {
        return refuse(ReplyCode::not_allowed,
                      "negotiated frame_max = {} is lower than the minimum allowed value ({})",
                      method.frame_max, frame_bytes_min);
    }
    if (method.frame_max == 0 || method.frame_max > frames) {
        return refuse(ReplyCode::not_allowed,
                      "negotiated frame_max = {} is higher than the maximum allowed value ({})",
                      method.frame_max, frames);
    }
    if (method.channel_max < channel_max_least || method.channel_max > channels) {
        return refuse(ReplyCode::not_allowed,
                      "negotiated channel_max = {} is higher than the maximum allowed value ({})",
                      method.channel_max, channels);
    }
    out_.set_frame_max(method.frame_max);
    terms_.channel_max = method.channel_max;
    terms_.heartbeat = seconds(method.heartbeat);
    step_ = Step::open;
    return {};
}

Outcome Handshake::on_open(const ConnectionOpen& method) {
    const std::expected<Vhost*, Fault> vhost = context_.host.open_vhost(method.virtual_host, terms_.user);
    if (!vhost) return std::unexpected(vhost.error());
    terms_.vhost = *vhost;
    step_ = Step::done;
    out_.send(0, ConnectionOpenOk{});
    return {};
}

}  // namespace havn::broker
