// From the protocol header to connection.open: who the client is, what both sides can do, and which virtual
// host it wants. Steps follow one another; a method that is out of place is a fault.
//
// A log-in that is refused is answered after a delay, longer when many are refused at once, so that guessing
// takes its time. Belongs to its connection, as the outbox does; the context outlives them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "broker/core/protocol/outbox.h"
#include "wire/amqp/methods.h"

namespace havn::broker {

// What the handshake has agreed upon.
struct Terms {
    std::string user{};      // empty before log-in
    Vhost* vhost = nullptr;  // set by connection.open; belongs to the broker, which outlives every connection
    std::uint16_t channel_max = 0;
    Duration heartbeat{};  // 0: none
    bool wants_auth_failure_close = false, wants_cancel_notice = false, wants_blocked = false;
};

class Handshake {
  public:
    enum class Step : std::uint8_t { protocol_header, start_ok, refusing, tune_ok, open, done };
    enum class Refusal : std::uint8_t { revoked, told, silent };

    Handshake(ConnectionContext& context, Outbox& out, bool loopback, Time now);
    Handshake(const Handshake&) = delete;
    Handshake& operator=(const Handshake&) = delete;
    ~Handshake() { forget_refusal(); }

    Step step() const { return step_; }
    bool done() const { return step_ == Step::done; }
    const Terms& terms() const { return terms_; }

    // False: the client speaks something else, and was told what is spoken here. `eaten` of `in` were used.
    bool on_protocol_header(std::string_view in, std::size_t& eaten);
    Outcome on_method(amqp::MethodId id, std::string_view arguments);

    Time deadline() const { return deadline_; }  // of the whole, or of the refusal's delay
    void extend_deadline(Duration by) {
        if (step_ != Step::refusing) deadline_ += by;
    }
    // The delay is over. Revoked: the broker has been told of the user meanwhile, and the handshake goes on.
    // Told: the client understands connection.close, and is to be told `refusal()`. Silent: it does not.
    Refusal end_refusal();
    const std::string& refusal() const { return refusal_; }
    void forget_refusal();

  private:
    struct Credentials {
        std::string user, password;
    };

    template <class Method>
    Outcome call(Step step, Outcome (Handshake::*handler)(const Method&), std::string_view arguments);
    Outcome on_start_ok(const amqp::ConnectionStartOk& method);
    Outcome on_tune_ok(const amqp::ConnectionTuneOk& method);
    Outcome on_open(const amqp::ConnectionOpen& method);
    void accept_login(std::string_view user);
    void refuse_login(std::string_view mechanism);
    void read_capabilities(amqp::Table client_properties);

    ConnectionContext& context_;
    Outbox& out_;
    bool loopback_;
    Step step_ = Step::protocol_header;
    Terms terms_;
    Time deadline_;
    Credentials refused_;
    std::string refusal_;
    bool counted_as_refused_ = false;  // among those whose log-in was refused a moment ago
};

}  // namespace havn::broker
