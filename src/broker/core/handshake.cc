// Conversation: from the protocol header to connection.open, and the other methods of channel 0.
#include <algorithm>

#include "broker/core/conversation.h"
#include "wire/amqp/table.h"

namespace havn::broker {

using namespace amqp;

namespace {

constexpr Duration handshake_timeout = seconds(10);
constexpr Duration refusal_delay = milliseconds(300);  // so that guessing passwords takes its time
constexpr Duration refusal_delay_max = seconds(8);     // when many are refused at once
constexpr std::uint16_t channel_max_least = 1;

// "\0user\0password" (RFC 4616; an authorisation identity before the first zero is ignored).
struct Credentials {
    std::string_view user, password;
};

std::optional<Credentials> plain_credentials(std::string_view response) {
    const std::size_t first = response.find('\0');
    if (first == std::string_view::npos) return std::nullopt;
    const std::size_t second = response.find('\0', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    return Credentials{response.substr(first + 1, second - first - 1), response.substr(second + 1)};
}

// A field table without its length.
std::optional<Credentials> amqplain_credentials(std::string_view response) {
    if (!is_valid_table(response)) return std::nullopt;
    const auto user = find(Table{response}, "LOGIN"), password = find(Table{response}, "PASSWORD");
    if (!user || !password || !user->text() || !password->text()) return std::nullopt;
    return Credentials{*user->text(), *password->text()};
}

// Compares all of it whatever differs, so the time taken tells nothing.
bool same_secret(std::string_view a, std::string_view b) {
    unsigned difference = a.size() == b.size() ? 0 : 1;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference |=
            static_cast<unsigned char>(a.empty() ? 0 : a[i % a.size()]) ^ static_cast<unsigned char>(b[i]);
    }
    return difference == 0;
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

Conversation::Conversation(Session& session, Vhost& vhost, Session::Peer peer, Time now)
    : session_(session),
      vhost_(vhost),
      peer_(std::move(peer)),
      last_heard_(now),
      last_beat_(now),
      deadline_(now + handshake_timeout) {
    vhost_.connections.insert(this);
}

Conversation::~Conversation() {
    end(last_heard_);
    vhost_.memory.give_back(accounted_);  // what was never sent went with it
    vhost_.check_memory();
}

void Conversation::on_protocol_header(std::string_view in, std::size_t& eaten) {
    const std::string_view begun = in.substr(0, protocol_header.size());
    if (begun != protocol_header.substr(0, begun.size())) {
        store_bytes(extend_out(protocol_header.size()), protocol_header);  // the version spoken here
        return become_closed("the client does not speak AMQP 0-9-1");
    }
    if (begun.size() < protocol_header.size()) return;
    eaten = protocol_header.size();
    phase_ = Phase::start_ok;
    const std::string properties = server_properties();
    send(0, ConnectionStart{0, 9, {properties}, "PLAIN AMQPLAIN", "en_US"});
}

Outcome Conversation::on_connection_method(MethodId id, std::string_view arguments) {
    if (phase_ == Phase::closing) {
        if (id == ConnectionCloseOk::id) become_closed({});
        if (id != ConnectionClose::id) return {};
    }
    if (id == ConnectionClose::id) {
        close_channels(Return::undone);
        send(0, ConnectionCloseOk{});
        closed_by_client_ = phase_ != Phase::closing;
        become_closed({});
        return {};
    }
    const auto expects = [&]<class Method>(Phase phase,
                                           Outcome (Conversation::*handler)(const Method&)) -> Outcome {
        if (phase_ != phase) return refuse(ReplyCode::command_invalid, "{} is out of place", Method::title);
        const auto method = decode<Method>(arguments);
        if (!method) return refuse(ReplyCode::syntax_error, "malformed {}", Method::title);
        return (this->*handler)(*method);
    };
    switch (id) {
        case ConnectionStartOk::id:
            return expects(Phase::start_ok, &Conversation::on_start_ok);
        case ConnectionTuneOk::id:
            return expects(Phase::tune_ok, &Conversation::on_tune_ok);
        case ConnectionOpen::id:
            return expects(Phase::open, &Conversation::on_open);
        case ConnectionUpdateSecret::id:
            return expects(Phase::running, &Conversation::on_update_secret);
        case ConnectionBlocked::id:
        case ConnectionUnblocked::id:
            return {};
        default:
            if (phase_ == Phase::refusing) return {};
            return refuse(ReplyCode::command_invalid, "{} is not expected from a client on channel 0",
                          method_name(id));
    }
}

Outcome Conversation::on_start_ok(const ConnectionStartOk& method) {
    read_capabilities(method.client_properties);
    std::optional<Credentials> credentials;
    if (method.mechanism == "PLAIN") {
        credentials = plain_credentials(method.response);
    } else if (method.mechanism == "AMQPLAIN") {
        credentials = amqplain_credentials(method.response);
    } else {
        return refuse(ReplyCode::command_invalid, "unknown authentication mechanism '{}'",
                      std::string_view(method.mechanism));
    }
    if (credentials && log_in(credentials->user, credentials->password)) {
        accept_login(credentials->user);
        return {};
    }
    if (credentials) {
        refused_user_ = credentials->user;
        refused_password_ = credentials->password;
    }
    refuse_login(method.mechanism);
    return {};
}

void Conversation::accept_login(std::string_view user) {
    user_ = user;
    phase_ = Phase::tune_ok;
    send(0, ConnectionTune{vhost_.config.channels_max, vhost_.config.frame_bytes_max,
                           static_cast<Short>(vhost_.config.heartbeat_seconds)});
}

void Conversation::read_capabilities(Table client_properties) {
    const auto value = find(client_properties, "capabilities");
    const auto capabilities = value ? value->table() : std::nullopt;
    if (!capabilities) return;
    const auto can = [&](std::string_view name) {
        const auto capability = find(*capabilities, name);
        return capability && capability->boolean().value_or(false);
    };
    auth_failure_close_ = can("authentication_failure_close");
    wants_cancel_notice_ = can("consumer_cancel_notify");
    wants_blocked_ = can("connection.blocked");
}

bool Conversation::log_in(std::string_view user, std::string_view password) {
    const auto found = std::ranges::find(vhost_.config.users, user, &User::name);
    if (found == vhost_.config.users.end()) {  // takes as long as a wrong password
        return same_secret(password, "no such user, no password") && false;
    }
    return same_secret(password, found->password) && (peer_.loopback || !found->loopback_only);
}

void Conversation::refuse_login(std::string_view mechanism) {
    phase_ = Phase::refusing;
    refusing_ = true;
    deadline_ =
        last_heard_ + std::min(refusal_delay * static_cast<int>(++vhost_.refusals), refusal_delay_max);
    close_reason_ = fmt::format(
        "ACCESS_REFUSED - Login was refused using authentication mechanism {}. For details see the broker "
        "logfile.",
        mechanism);
}

void Conversation::finish_refusal() {
    forget_refusal();
    // A broker that has just been started may be told of its users a moment after its first clients came.
    const std::string user = std::exchange(refused_user_, {}),
                      password = std::exchange(refused_password_, {});
    if (!user.empty() && log_in(user, password)) {
        close_reason_.clear();
        deadline_ += handshake_timeout;
        return accept_login(user);
    }
    if (!auth_failure_close_) return become_closed({});
    last_heard_ = deadline_;
    fail({ReplyCode::access_refused, close_reason_}, ConnectionStartOk::id);
}

// The client may lower what was offered, not raise it. 0 means no limit, which is more than any.
Outcome Conversation::on_tune_ok(const ConnectionTuneOk& method) {
    const std::uint32_t frames = vhost_.config.frame_bytes_max, channels = vhost_.config.channels_max;
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
    frame_max_ = method.frame_max;
    channel_max_ = method.channel_max;
    heartbeat_ = seconds(method.heartbeat);
    last_beat_ = last_heard_;
    phase_ = Phase::open;
    return {};
}

Outcome Conversation::on_open(const ConnectionOpen& method) {
    if (method.virtual_host != "/") {
        return refuse(ReplyCode::not_allowed, "vhost {} not found", std::string_view(method.virtual_host));
    }
    phase_ = Phase::running;
    send(0, ConnectionOpenOk{});
    on_alarm();
    return {};
}

// Log-in was checked once and passwords do not expire here: there is nothing to renew.
Outcome Conversation::on_update_secret(const ConnectionUpdateSecret&) {
    send(0, ConnectionUpdateSecretOk{});
    return {};
}

}  // namespace havn::broker
