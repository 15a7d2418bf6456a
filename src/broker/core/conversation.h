// The inside of a Session: phases of a connection, its channels, its output.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "broker/core/channel.h"
#include "broker/core/dead_letter.h"
#include "broker/core/fault.h"
#include "broker/core/output.h"
#include "broker/core/session.h"
#include "broker/core/vhost.h"
#include "wire/amqp/frame.h"
#include "wire/amqp/methods.h"
#include "wire/amqp/properties.h"

namespace havn::broker {

class Conversation {
  public:
    Conversation(Session& session, Vhost& vhost, Session::Peer peer, Time now);
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;
    ~Conversation();

    // What Session offers; see there.
    std::size_t on_bytes(std::string_view in, Time now);
    void on_writable(std::size_t unsent);
    LogPosition waits_for() const;
    void on_durable(LogPosition position);
    bool paused() const {
        return phase_ != Phase::closing && (held_until_ != 0 || held_back_ || choked_ || starved_);
    }
    bool held_back() const { return held_back_; }
    bool choked() const { return choked_; }
    bool closed_by_client() const { return closed_by_client_; }
    void excuse_silence(Time now);
    Time next_deadline() const;
    void on_time(Time now);
    void end(Time now);
    void shut_down(std::string_view text, Time now);
    bool closed() const { return phase_ == Phase::closed; }
    const Session::Peer& peer() const { return peer_; }
    const std::string& user() const { return user_; }
    const std::string& close_reason() const { return close_reason_; }
    Output out;

    // For channels.
    template <class Method>
    void send(std::uint16_t channel, const Method& method) {
        const std::size_t size = amqp::method_frame_size(method);
        amqp::store_method_frame(extend_out(size), channel, method, size);
    }
    // Sent once the log is durable up to `promised`; until then nothing more is read from this client.
    template <class Method>
    void send_durably(std::uint16_t channel, const Method& method, LogPosition promised) {
        if (promised <= vhost_.durable) return send(channel, method);
        held_until_ = promised;
        amqp::append_method(held_, channel, method);
    }
    // Behind a reply that waits for the log, if there is one.
    template <class Method>
    void send_after_held(std::uint16_t channel, const Method& method) {
        if (held_until_ == 0) return send(channel, method);
        amqp::append_method(held_, channel, method);
    }
    char* extend_out(std::size_t bytes);  // the caller writes them all
    template <class Method>
    void send_content(std::uint16_t channel, const Method& method, MessagePtr message) {
        send(channel, method);
        if (!fits(*message)) message = with_fewer_headers(*message, properties_bytes_max());
        out.add_content(channel, std::move(message), frame_max_);
    }
    // A content header is one frame and cannot be split. Where this client's frames are too small for it,
    // x-death and its like are left out, and then all headers.
    bool fits(const Message& message) const { return message.properties().size() <= properties_bytes_max(); }
    std::size_t properties_bytes_max() const {
        return frame_max_ - amqp::frame_overhead - amqp::content_header_fixed;
    }
    bool has_room();  // for deliveries; asks to be told when there is again
    bool takes_replies() const { return running() && backlog() < Session::output_bytes_deaf; }
    void account();  // tells the budget what this connection holds
    void confirm_later(Channel& channel) { confirming_.push_back(&channel); }
    void on_publish();  // an alarm holds publishers back
    void on_memory_relieved();
    // What it holds that no consumer can free: unfinished messages, and what it leaves unread.
    std::uint64_t stuck_bytes() const {
        return partial_bytes + (choked_ ? backlog() + held_.size() : 0);
    }
    void shed();                                  // ends the connection on account of these
    std::unordered_set<Queue*> exclusive_queues;  // this connection's alone: the vhost keeps it
    std::uint64_t partial_bytes = 0;              // of contents that have not come whole yet

    Vhost& vhost() { return vhost_; }
    std::uint32_t frame_max() const { return frame_max_; }
    bool running() const { return phase_ == Phase::running; }
    bool wants_cancel_notice() const { return wants_cancel_notice_; }
    void on_alarm();

  private:
    enum class Phase {
        protocol_header,
        start_ok,  // sent start, and so on
        tune_ok,
        open,
        running,
        refusing,  // wrong password: the answer is delayed
        closing,   // sent close
        closed,
    };

    std::size_t backlog() const { return out.size() + unsent_; }  // what the client has not read yet
    bool must_wait(const amqp::Frame& frame);
    void on_protocol_header(std::string_view in, std::size_t& eaten);
    void on_frame(const amqp::Frame& frame);
    Outcome on_connection_method(amqp::MethodId id, std::string_view arguments);
    Outcome on_start_ok(const amqp::ConnectionStartOk& method);
    Outcome on_tune_ok(const amqp::ConnectionTuneOk& method);
    Outcome on_open(const amqp::ConnectionOpen& method);
    Outcome on_update_secret(const amqp::ConnectionUpdateSecret& method);
    void accept_login(std::string_view user);
    void refuse_login(std::string_view mechanism);
    void finish_refusal();
    void forget_refusal() {
        if (std::exchange(refusing_, false)) --vhost_.refusals;
    }
    bool log_in(std::string_view user, std::string_view password);
    void read_capabilities(amqp::Table client_properties);

    void on_channel_frame(const amqp::Frame& frame);
    Outcome open_channel(std::uint16_t number);
    Outcome on_channel_content(Channel& channel, const amqp::Frame& frame);
    void fail_channel(Channel& channel, const Fault& fault, amqp::MethodId cause);
    void fail(const Fault& fault, amqp::MethodId cause, Return how = Return::failed);
    void on_broken_frame(amqp::Parse status, std::string_view in);
    void close_channels(Return how);
    void become_closed(std::string_view reason);
    void finish_input();
    void send_confirms();
    void send_heartbeat();
    bool in_handshake() const { return phase_ < Phase::running; }
    bool silence_is_ours() const {
        return paused() && !choked_;
    }  // a client that does not read is another matter

    Session& session_;
    Vhost& vhost_;
    Session::Peer peer_;
    Phase phase_ = Phase::protocol_header;
    std::string user_, close_reason_;
    std::string refused_user_, refused_password_;  // tried once more when the refusal is due
    bool ended_ = false, closed_by_client_ = false;

    std::vector<std::unique_ptr<Channel>> channels_;  // by number; [0] unused
    Channel* publishing_ = nullptr;                   // refers to bytes of the present input
    std::vector<Channel*> confirming_;                // have confirms to send now or when durable

    std::string held_;  // replies that wait for the log
    LogPosition held_until_ = 0;
    bool throttled_ = false;       // a delivery found no room
    bool choked_ = false;          // the client leaves too much unread to be listened to
    bool starved_ = false;         // a basic.get waits until there is memory for its answer
    std::size_t unsent_ = 0;       // taken from `out`, not sent yet
    std::uint64_t accounted_ = 0;  // with the budget of the vhost
    bool deaf_ = false;            // framing is lost: nothing that comes is looked at any more

    std::uint32_t frame_max_ = amqp::frame_bytes_min;
    std::uint16_t channel_max_ = 0;
    Duration heartbeat_{};  // 0: none
    Time last_heard_, last_beat_;
    Time deadline_;  // of the handshake, the delayed refusal or the close
    bool auth_failure_close_ = false, wants_cancel_notice_ = false, wants_blocked_ = false;
    bool refusing_ = false;   // counted with those whose log-in was refused a moment ago
    bool published_ = false;  // ever
    bool blocked_ = false;    // was told so, as a publisher or as the gateway
    bool held_back_ = false;  // by an alarm
};

}  // namespace havn::broker
