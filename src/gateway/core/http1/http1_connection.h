// A client's connection of HTTP/1: reads request heads and lets one transaction at a time serve them, in
// order. After an answer that did not wait for the whole request it reads on for a while ("lingers"), so that
// the client can read the answer first (RFC 9112 §9.6).
//
// Idle, it holds no buffer and no transaction.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "base/ip.h"
#include "gateway/core/settings.h"
#include "gateway/core/turn/buffer.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/core/turn/retired.h"
#include "gateway/core/turn/transport.h"
#include "gateway/core/turn/turn_clock.h"
#include "wire/http1/arrival.h"

namespace havn::gateway {

class Connections;
struct Http1Exchange;

class Http1Connection final : public TransportUser, public Timer, public Retirable {
  public:
    // What becomes of the connection after a transaction.
    enum class After : std::uint8_t {
        keep,    // the next request
        close,   // everything was read and sent
        linger,  // the client may still be sending
        reset,   // the response is cut short, and must not look complete
    };
    // What all connections of a thread use; it outlives them.
    struct Environment {
        TurnClock& clock;
        Deadlines& deadlines;
        BufferPool& buffers;
        Settings& settings;
        Connections& connections;
    };
    struct Peer {
        IpAddress address{};
        bool trusted = false;
        // The route of everything that comes from a service's own listener; null on the edge.
        const RouteEntry* service = nullptr;
    };

    Http1Connection(const Environment& environment, const Peer& peer);
    ~Http1Connection() override;

    // The transport is the connection's from now on.
    void open(std::unique_ptr<Transport> transport) { transport_ = std::move(transport); }

    void on_transport_ready() override;
    void on_deadline() override;

    // Goes on until nothing can be done without another event.
    void drive();
    void drive_later();

    // Called when the transaction is over. `rest` holds what came after the request.
    void transaction_over(After after, BufferPtr rest);

    // No further request; an idle connection closes now.
    void stop();

    // It has waited for a request since before `time`, and nothing of one has come.
    bool idle_since(Time time) const;
    void close_idle() { close(); }

    Transport& transport() const { return *transport_; }
    const std::string& address() const { return address_; }
    bool trusted() const { return trusted_; }
    const RouteEntry* service() const { return service_; }

    // Where it stands in the lists of Connections, which alone uses this.
    struct Listed {
        std::size_t slot = 0;
        std::size_t later_slot = SIZE_MAX;             // among those driven in the next turn
        std::list<Http1Connection*>::iterator by_age;  // on the edge only
    };
    Listed listed;

  private:
    enum class State : std::uint8_t { reading, serving, lingering, closed };

    bool next_request();
    bool parse();
    void refuse(std::uint16_t status, std::string_view why);
    void serve(const http1::RequestHead& head, std::size_t head_bytes);
    void make_room();
    void note_head_begun();
    Time deadline() const;
    void begin_linger();
    void linger();
    void close();

    const Environment& environment_;
    const RouteEntry* service_;
    std::unique_ptr<Transport> transport_;
    std::string address_;
    std::unique_ptr<Http1Exchange> exchange_;  // while a request is served
    BufferPtr in_;
    http1::HeadArrival arrival_;  // of the head in `in_`
    Time since_;                  // of the present state: idle, reading a head, lingering
    Time heard_;                  // lingering: when it last sent something
    std::uint64_t lingered_ = 0;  // bytes
    State state_ = State::reading;
    bool head_begun_ = false;
    bool driving_ = false;
    bool trusted_;
    bool stopping_ = false;
    bool patient_ = false;  // it lingers, and is one of those that may for long
};

}  // namespace havn::gateway
