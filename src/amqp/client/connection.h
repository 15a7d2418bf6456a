// An AMQP 0-9-1 client without I/O: bytes and the time go in, bytes and events come out.
//
// A connection knows the protocol and nothing of sockets, clocks or threads; whoever owns it does the I/O:
//
//     Connection connection(options, handler);      // handler is told the events: amqp/client/handler.h
//     connection.open(login, now);                   // the transport is there: the handshake begins
//     …  connection.receive(bytes, now)              // what came; what it does not eat is given again
//        connection.pieces(), connection.sent(n)     // what is to be sent, and how much of it was
//        connection.on_time(now)                     // when due() has come; due() may change with every call
//     connection.reset();                            // the transport is gone, or an error ended it
//
// Channels are objects of the caller's that name their connection: amqp/client/channel.h. The handler
// outlives the connection, and the connection its channels. One thread.
//
// Speaks with Havn's broker and with RabbitMQ: SASL PLAIN, heartbeats both ways, connection.blocked,
// confirms, consumer cancellation by the broker, a cause with refused credentials.
//
// Errors. receive() and on_time() return one when the connection cannot go on: the broker closed it (its code
// and text are in the message), broke the protocol, or let a deadline pass. The connection then eats and does
// nothing more until reset(); pieces() may still hold the answer to a close. Errors of a channel are events.
//
// Bounds. Nothing a broker sends makes it keep more than: one message of message_bytes_max and its
// properties, a frame at most, for each channel; content_bytes_max for all bodies; unsent_bytes_max of
// answers that the broker does not read (an error). Requests and publishes are bounded by what the caller
// gives, by Channel::requests_max and by unconfirmed_max. What receive() leaves uneaten is less than
// frame_bytes_max. Every wait ends: the handshake by handshake_timeout, a request by reply_timeout, close()
// by close_timeout, silence by two heartbeats. Only a confirm may take as long as it takes: how long is the
// publisher's to decide.
//
// AMQP 0-9-1 §2.2.4 (handshake, close), §2.3 (frames), §4.2 (wire);
// https://www.rabbitmq.com/docs/specification
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/client/handler.h"
#include "amqp/client/output.h"
#include "base/budget.h"
#include "base/error.h"
#include "base/time.h"
#include "wire/amqp/frame.h"

namespace havn::amqp::client {

class Channel;

struct Login {
    std::string user, password, vhost;
};

struct Options {
    std::string_view product = "havn";            // what the broker shows for this client; not copied
    std::uint16_t channels_max = 1;               // agreed on is the smaller of both sides' for these three
    std::uint32_t frame_bytes_max = 131'072;      // at least frame_bytes_min
    seconds heartbeat_max{30};                    // 0: none
    Duration handshake_timeout = seconds(5);      // from open() to on_connected
    Duration reply_timeout = seconds(30);         // from a request to its reply
    Duration close_timeout = seconds(2);          // from close() to the broker's answer
    std::size_t output_bytes_max = 65'536;        // encoded ahead: from here on no publish is taken
    std::size_t unsent_bytes_max = 4u << 20;      // beyond it the broker does not read: an error
    std::uint64_t unconfirmed_max = 1u << 20;     // of a channel, from the oldest to the newest
    std::uint64_t message_bytes_max = 16u << 20;  // the body of one delivery: a larger one is on_oversized
    std::uint64_t content_bytes_max = 64u << 20;  // the bodies of all unfinished deliveries together
};

class Connection {
  public:
    Connection(const Options& options, ConnectionHandler& handler);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // A transport is there, and an earlier one is not.
    void open(const Login& login, Time now);

    // How many of `bytes` were eaten, whole frames each. The rest, with more behind it, is given again.
    Result<std::size_t> receive(std::string_view bytes, Time now);

    // What to send next, and that so much of it was. More may be there after sent().
    Output::Pieces pieces() const { return output_.pieces(); }
    void sent(std::size_t bytes);

    // When on_time() has something to do; Time::max(): never, as it stands.
    Time due() const;
    Result<> on_time(Time now);

    // Says good-bye; channels are closed without a word to their handlers. is_over() follows the answer.
    void close(Time now);
    bool is_over() const { return state_ == State::over; }  // by an error or by close(): for reset()

    // Forgets the transport. Channels are closed without a word, bodies are not looked at any more.
    void reset();

    bool is_open() const { return state_ == State::open; }  // from on_connected on
    bool is_blocked() const { return blocked_; }
    std::uint32_t frame_max() const { return frame_max_; }              // as agreed
    seconds heartbeat() const { return heartbeat_; }                    // as agreed; 0: none
    std::uint64_t sent_position() const { return output_.position(); }  // compare with Published::end
    Time last_received() const { return last_received_; }               // Time{}: never

  private:
    friend class Channel;  // the other half of it
    enum class State : std::uint8_t { idle, starting, tuning, opening, open, closing, over };
    struct Slot {                    // of a channel number
        Channel* channel = nullptr;  // its caller's; it takes itself out when it is destroyed
        bool closing = false;        // channel.close was sent: nothing but its answer counts
    };

    Result<> take_frame(const Frame& frame);
    Result<> take_channel_frame(const Frame& frame);
    Result<> on_method(MethodId id, std::string_view arguments);
    Result<> on_start(std::string_view arguments);
    Result<> on_tune(std::string_view arguments);
    Result<> on_open_ok();
    Result<> on_blocked(std::string_view arguments);
    Result<> on_close(std::string_view arguments);
    std::unexpected<Error> end(Error why);

    // For channels.
    std::uint16_t add(Channel& channel);  // its number; 0: none is free
    void remove(std::uint16_t number, bool closing);
    void note_request();
    bool takes_publishes() const {
        return state_ == State::open && !blocked_ && !output_.sending_body() &&
               output_.unsent() < options_.output_bytes_max;
    }

    Options options_;
    ConnectionHandler& handler_;  // outlives this
    Login login_;
    State state_ = State::idle;
    Output output_;
    Budget contents_;
    std::vector<Slot> slots_;          // of channel numbers 1, 2, …
    Channel* body_channel_ = nullptr;  // whose body is sent from where it lies; it outlives that
    Time now_{}, last_received_{};
    Time state_due_ = Time::max();  // the end of the handshake, or of close()
    Time next_heartbeat_ = Time::max();
    Time replies_due_ = Time::max();  // when the oldest request is looked at
    std::uint32_t frame_max_;
    std::uint16_t channels_max_;
    seconds heartbeat_{0};
    bool blocked_ = false;
};

}  // namespace havn::amqp::client
