// A channel of a client's connection: publishing with confirms, consuming, and what is declared.
//
//     Channel channel(connection, handler);
//     channel.open();                                            // → on_open
//     channel.request(ConfirmSelect{});                          // → on_reply
//     channel.publish({.routing_key = "orders", .properties = p, .body = b}, context);   // → on_confirm
//
// The caller owns it; the connection and the handler outlive it. It is closed when it is made, after close(),
// after on_closed() and after every end of the connection, and can be opened again each time. Commands on a
// closed channel do nothing and say so in what they return.
//
// An error that the broker finds closes the channel (on_closed) and not the connection. Numbers of confirms
// and tags of deliveries begin anew with each open().
//
// Strings in commands are at most 255 bytes where AMQP has a short string (names, keys, tags): longer ones
// are a defect of the caller, who bounds what others wrote. Views need be good only during the call, but for
// a body beyond copied_body_max.
//
// AMQP 0-9-1 §1.4–§1.8; https://www.rabbitmq.com/docs/confirms for confirms.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "amqp/client/confirms.h"
#include "amqp/client/content.h"
#include "amqp/client/envelope.h"
#include "amqp/client/handler.h"
#include "base/time.h"

namespace havn::amqp::client {

class Connection;

struct Message {
    std::string_view exchange = {};  // "": to the queue of that name
    std::string_view routing_key = {};
    std::string_view properties = {};  // as append_properties() writes them; at least the flag word
    std::string_view body = {};
    bool mandatory = false;  // on_returned when no queue takes it
};

struct Published {
    std::uint64_t number = 0;  // of its confirm; 0 without confirms
    std::uint64_t end = 0;     // it has left whole once Connection::sent_position() is here
};

// The method that answers a request; 0: not one.
template <class Method>
inline constexpr MethodId answer_to = 0;
template <>
inline constexpr MethodId answer_to<ConfirmSelect> = ConfirmSelectOk::id;
template <>
inline constexpr MethodId answer_to<BasicQos> = BasicQosOk::id;
template <>
inline constexpr MethodId answer_to<BasicConsume> = BasicConsumeOk::id;
template <>
inline constexpr MethodId answer_to<BasicCancel> = BasicCancelOk::id;
template <>
inline constexpr MethodId answer_to<QueueDeclare> = QueueDeclareOk::id;
template <>
inline constexpr MethodId answer_to<QueueBind> = QueueBindOk::id;
template <>
inline constexpr MethodId answer_to<QueueUnbind> = QueueUnbindOk::id;
template <>
inline constexpr MethodId answer_to<QueuePurge> = QueuePurgeOk::id;
template <>
inline constexpr MethodId answer_to<QueueDelete> = QueueDeleteOk::id;
template <>
inline constexpr MethodId answer_to<ExchangeDeclare> = ExchangeDeclareOk::id;
template <>
inline constexpr MethodId answer_to<ExchangeDelete> = ExchangeDeleteOk::id;
template <>
inline constexpr MethodId answer_to<ExchangeBind> = ExchangeBindOk::id;
template <>
inline constexpr MethodId answer_to<ExchangeUnbind> = ExchangeUnbindOk::id;

template <class Method>
concept Request = answer_to<Method> != 0;

class Channel {
  public:
    static constexpr std::size_t copied_body_max = 16'384;  // bytes; a larger one is sent from where it lies
    static constexpr std::uint64_t unknown_end = UINT64_MAX;
    static constexpr std::size_t requests_max = 1'024;  // that wait for their answers

    Channel(Connection& connection, ChannelHandler& handler);
    ~Channel();  // closes it; not while a body is sent from where it lies
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // False: the connection is not open, has as many channels as were agreed on, or this one is open already.
    bool open();
    // The handler is told nothing more. False: it is closed already, or sends a body from where it lies.
    bool close();
    bool is_open() const { return state_ == State::open; }

    // Whether publish() takes a message now: the channel is open, the broker neither blocks nor stops the
    // flow, no large body is on its way, less than Options::output_bytes_max wait to be sent, and fewer than
    // Options::unconfirmed_max publishes lie between the oldest unconfirmed one and this. Asked again after
    // sent() and after every event.
    bool may_publish() const;
    // Whether properties of that size fit into one frame, as they must.
    bool fits(std::size_t properties_bytes) const;

    // Encodes the message behind what is to be sent. Nothing happens, and nothing is returned, unless
    // may_publish() and its properties fit. After request(ConfirmSelect) the handler gets `context` back in
    // on_confirm. A body beyond copied_body_max stays with the caller, unchanged, until on_body_sent or the
    // connection's reset(); its `end` is unknown_end until then. No allocation but for growing buffers.
    std::optional<Published> publish(const Message& message, Confirms::Context context = 0);
    // The same for a body in an envelope that is used again and again.
    std::optional<Published> publish(const Envelope& envelope, std::string_view body,
                                     Confirms::Context context = 0);

    // Sends a request; `nowait` is sent as false. The number that its Reply will carry; 0 when it was not
    // sent, as the channel is not open or requests_max wait already. Each is answered by on_reply, by
    // on_closed, or, after Options::reply_timeout, by an error of the connection.
    // Depth of a queue: QueueDeclare with `passive`. Prefetch: BasicQos, before BasicConsume.
    template <Request Method>
    std::uint32_t request(Method method);

    // Answers to deliveries. `multiple`: to all up to that tag. requeue() gives them back to their queue,
    // reject() to where its policy sends the rejected.
    void acknowledge(std::uint64_t tag, bool multiple = false);
    void reject(std::uint64_t tag, bool multiple = false);
    void requeue(std::uint64_t tag, bool multiple = false);

    std::uint64_t unconfirmed() const { return confirms_.count(); }
    bool unconfirmed_is_full() const;  // an old publish is unconfirmed and Options::unconfirmed_max reached

  private:
    friend class Connection;  // the other half of it
    enum class State : std::uint8_t { closed, opening, open };
    struct Waiting {
        MethodId answer = 0;
        std::uint32_t number = 0;
        Time since{};
    };

    // From the connection. An error ends it.
    Result<> on_method(MethodId id, std::string_view arguments);
    Result<> on_header(std::string_view payload);
    Result<> on_body(std::string_view payload);
    void on_body_left(std::uint64_t end);
    void become_closed();
    std::optional<Time> oldest_request() const;

    Result<> on_close(std::string_view arguments);
    Result<> on_flow(std::string_view arguments);
    Result<> on_broker_cancel(std::string_view arguments);
    Result<> on_answer(MethodId id, std::string_view arguments);
    Result<> on_content(Content::Step step);
    char* begin_publish(std::size_t head_bytes, std::string_view body);
    Published end_publish(char* to, std::string_view body, Confirms::Context context);
    void settle(std::uint64_t number, bool multiple, bool accepted);
    void negative(std::uint64_t tag, bool multiple, bool requeue);
    std::uint32_t await(MethodId answer);
    void leave();
    template <class Method>
    void send(const Method& method);

    Connection& connection_;  // outlives this, as the handler does
    ChannelHandler& handler_;
    std::uint16_t number_ = 0;  // 0 while it is closed
    State state_ = State::closed;
    bool confirming_ = false;
    bool flow_active_ = true;
    Confirms confirms_;
    Content content_;
    std::deque<Waiting> requests_;
    std::uint32_t last_request_ = 0;
    Confirms::Context body_context_ = 0;  // of the body that is sent from where it lies
    std::uint64_t body_number_ = 0;       // the number of its confirm; 0: none is being sent
};

}  // namespace havn::amqp::client
