// One AMQP connection, from the protocol header to the close: bytes in, bytes out, no I/O.
//
//     eaten = session.on_bytes(unread, now);      // keep the rest, offer it again with what follows
//     to_send = std::move(session.output());      // take it all, send it, then on_writable()
//     session.output().clear();
//
// Replies that promise durability (confirms, declare-ok of what is durable) wait for the log: waits_for()
// names the position, on_durable() releases them. Between a durable declare and its release, and while an
// alarm holds this publisher back, or its client does not read, on_bytes() eats nothing (`paused()`): stop
// reading, offer the bytes again afterwards; the waker names the session when the pause may be over.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "broker/core/broker.h"

namespace havn::broker {

class Conversation;

class Session {
  public:
    struct Peer {
        std::string address;    // for logs and `havn queue`: "127.0.0.1:40312" or "unix"
        bool loopback = false;  // a loopback or Unix socket: users that are loopback_only may log in
        bool gateway = false;   // this host's own: told of an alarm before it publishes
    };

    // Deliveries stop while the client leaves more than this unread. Beyond the higher mark nothing it sends
    // is looked at, until it has read down to the lower one.
    static constexpr std::size_t output_bytes_max = 1u << 20;
    static constexpr std::size_t output_bytes_deaf = 4u << 20;

    Session(Broker& broker, Peer peer, Time now);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();  // ends the session if nobody did

    // How many bytes of `in` were used: whole frames only. Any size of `in` is fine; a frame larger than
    // frame_max ends the connection, so no more than config().frame_bytes_max + 8 need be buffered.
    std::size_t on_bytes(std::string_view in, Time now);

    // What to send next. The receiver takes or clears it; the core only appends.
    std::string& output();
    // output() was taken, and of all that was taken so far `unsent` bytes have not left: may deliver more.
    void on_writable(std::size_t unsent = 0);
    bool has_output() const;
    void release_spare();  // of an idle session: memory kept for its next output

    // The position up to which the log must be durable before a held reply leaves; 0 when nothing waits.
    LogPosition waits_for() const;
    void on_durable(LogPosition position);
    bool paused() const;

    // Heartbeats both ways, and the limits on how long a handshake and a close may take.
    Time next_deadline() const;
    void on_time(Time now);
    void excuse_silence(Time now);  // nothing could be heard so far: that was not the client's doing

    // An alarm holds this client's publishes back: what it has sent since is to be thrown away if it goes.
    bool held_back() const;
    bool choked() const;  // paused, as the client leaves too much unread

    // The connection is gone (or is dropped): unacknowledged messages go back to their queues, exclusive
    // queues go. Nothing may be called after but output(), closed() and the destructor. Idempotent.
    void end(Time now);

    // Says good-bye: connection.close 320 with this text; closed() follows the client's answer.
    void shut_down(std::string_view text, Time now);

    // Send what output() holds, then close the socket, then end().
    bool closed() const;
    bool closed_by_client() const;  // with connection.close, answered: the client hangs up first

    const Peer& peer() const;
    std::string_view user() const;          // empty before log-in
    std::string_view close_reason() const;  // why closed(), for the log; empty for an orderly close

  private:
    std::unique_ptr<Conversation> connection_;
};

}  // namespace havn::broker
