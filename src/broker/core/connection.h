// One AMQP connection, from the protocol header to the close: bytes in, bytes out, no I/O.
//
//     eaten = connection.on_bytes(unread, now);      // keep the rest, offer it again with what follows
//     to_send = std::move(connection.output());      // take it all, send it, then on_writable()
//     connection.output().clear();
//
// Replies that promise durability (confirms, declare-ok of what is durable) wait for the log: waits_for()
// names the position, on_durable() releases them. Between a durable declare and its release, and while an
// alarm holds this publisher back, or its client does not read, on_bytes() eats nothing (`paused()`): stop
// reading, offer the bytes again afterwards; the waker names the connection when the pause may be over.
//
// A client can make it hold: a frame (frame_max), an unfinished content per channel (message_bytes_max), and
// Outbox::choked_bytes of output it does not read; all of it is counted against the broker's memory. The
// broker outlives its connections. Owns its channels, and through them what the client has not acknowledged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "broker/core/channel/channel.h"
#include "broker/core/channel/channel_context.h"
#include "broker/core/protocol/connection_context.h"
#include "broker/core/protocol/handshake.h"
#include "broker/core/protocol/outbox.h"
#include "broker/core/protocol/publisher_gate.h"
#include "wire/amqp/frame.h"

namespace havn::broker {

class Connection {
  public:
    struct Peer {
        std::string address;    // for logs and `havn queue`: "127.0.0.1:40312" or "unix"
        bool loopback = false;  // a loopback or Unix socket: users that are loopback_only may log in
        bool gateway = false;   // this host's own: told of an alarm before it publishes
    };

    Connection(ConnectionContext& context, Peer peer, Time now);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();  // ends the connection if nobody did

    // How many bytes of `in` were used: whole frames only. Any size of `in` is fine; a frame larger than
    // frame_max ends the connection, so no more than config().frame_bytes_max + 8 need be buffered.
    std::size_t on_bytes(std::string_view in, Time now);

    // What to send next. The receiver takes or clears it; the core only appends.
    std::string& output() { return outbox_.output().next(); }
    bool has_output() const { return !outbox_.output().empty(); }
    // output() was taken, and of all that was taken so far `unsent` bytes have not left: may deliver more.
    void on_writable(std::size_t unsent = 0);
    void release_spare() {
        outbox_.output().release_spare();
    }  // of an idle one: memory kept for its next output

    // The position up to which the log must be durable before a held reply leaves; 0 when nothing waits.
    LogPosition waits_for() const;
    void on_durable(LogPosition position);
    bool paused() const {
        return phase_ != Phase::closing &&
               (outbox_.held_until() != 0 || gate_.held_back() || outbox_.is_choked() || waits_for_memory_);
    }

    // Heartbeats both ways, and the limits on how long a handshake and a close may take.
    Time next_deadline() const;
    void on_time(Time now);
    void excuse_silence(Time now);  // nothing could be heard so far: that was not the client's doing

    // An alarm holds this client's publishes back: what it has sent since is to be thrown away if it goes.
    bool held_back() const { return gate_.held_back(); }
    bool choked() const { return outbox_.is_choked(); }  // paused, as the client leaves too much unread
    std::size_t unread_bytes() const { return outbox_.unread(); }

    // The connection is gone (or is dropped): unacknowledged messages go back to their queues, exclusive
    // queues go. Nothing may be called after but output(), closed() and the destructor. Idempotent.
    void end(Time now);

    // Says good-bye: connection.close 320 with this text; closed() follows the client's answer.
    void shut_down(std::string_view text, Time now);

    // Send what output() holds, then close the socket, then end().
    bool closed() const { return phase_ == Phase::closed; }
    bool closed_by_client() const {
        return closed_by_client_;
    }  // with connection.close, answered: it hangs up first

    const Peer& peer() const { return peer_; }
    std::string_view user() const { return handshake_.terms().user; }  // empty before log-in
    const Vhost* vhost() const { return handshake_.terms().vhost; }    // null before connection.open
    // Why closed(), for the log; empty for an orderly close.
    std::string_view close_reason() const { return close_reason_; }

    // For the broker.
    void on_alarm() { gate_.on_alarm(); }
    void on_memory_relieved();
    // What it holds that no consumer can free: unfinished contents, and what it leaves unread.
    std::uint64_t stuck_bytes() const {
        return holdings_.unfinished_bytes + (outbox_.is_choked() ? outbox_.unread_and_held() : 0);
    }
    void shed();  // ends the connection on account of these

  private:
    enum class Phase : std::uint8_t { handshake, running, closing, closed };  // closing: close was sent

    bool must_wait(const amqp::Frame& frame);
    void on_frame(const amqp::Frame& frame);
    void on_broken_frame(amqp::Parse status, std::string_view in);
    Outcome on_connection_method(amqp::MethodId id, std::string_view arguments);
    void begin_to_run();
    void on_channel_frame(const amqp::Frame& frame);
    void on_fault(Channel& channel, const Fault& fault);
    Outcome open_channel(std::uint16_t number);
    void close_channel(Channel& channel, bool answer);
    void forget_input_of(const Channel& channel);
    void finish_input();
    void send_confirms();
    void fail_channel(Channel& channel, const Fault& fault, amqp::MethodId cause);
    void fail(const Fault& fault, amqp::MethodId cause, Return how = Return::failed);
    void close_channels(Return how);
    void become_closed(std::string_view reason);
    void end_refusal();
    void account();  // tells the budget what this connection holds
    bool running() const { return phase_ == Phase::running; }
    // A client that does not read is paused, and silent of its own accord.
    bool is_silence_ours() const { return paused() && !choked(); }

    struct Heartbeat {
        Duration interval{};  // 0: none
        Time last_heard, last_sent;

        Time next_beat() const { return last_sent + interval / 2; }
        Time lost_at() const { return last_heard + 2 * interval; }
    };

    ConnectionContext& context_;
    Peer peer_;
    Outbox outbox_;
    PublisherGate gate_;
    Handshake handshake_;
    Heartbeat heartbeat_;
    Phase phase_ = Phase::handshake;
    ConnectionHoldings holdings_;
    std::vector<std::unique_ptr<Channel>> channels_;  // by number; [0] unused
    Channel* publishing_ = nullptr;                   // one of them: refers to bytes of the present input
    std::vector<Channel*> confirming_;                // of them: have confirms to send now or when durable
    std::uint64_t accounted_ = 0;                     // with the budget
    bool waits_for_memory_ = false;  // a basic.get waits until there is memory for its answer
    bool framing_lost_ = false;      // nothing that comes is looked at any more
    bool ended_ = false, closed_by_client_ = false;
    Time close_deadline_ = Time::max();
    std::string close_reason_;
};

}  // namespace havn::broker
