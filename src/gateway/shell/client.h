// A client's connection: reads request heads, lets one exchange at a time serve them, in order.
//
// Idle, it holds no buffer and no exchange.
#pragma once

#include <cstdint>
#include <list>
#include <string>

#include "gateway/core/policy/admission.h"
#include "gateway/core/turn/buffer.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/shell/socket.h"
#include "wire/http1/arrival.h"

namespace havn::gateway {

class Exchange;
class Worker;
struct RouteEntry;

class Client : public Pollable, public Timer {
  public:
    // What becomes of the connection after an exchange.
    enum class After {
        keep,    // the next request
        close,   // everything was read and sent
        linger,  // the client may still be sending: let it read the answer first (RFC 9112 §9.6)
        reset,   // the response is cut short, and must not look complete
    };

    // `service`: the route of everything that comes from a service's own listener; null on the edge.
    Client(Worker& worker, io::Fd fd, const IpAddress& address, bool trusted, Admission::Place place,
           const RouteEntry* service);
    ~Client() override;

    void on_ready(std::uint32_t events) override;
    void on_deadline() override;

    // Goes on until nothing can be done without another event.
    void drive();

    // Called by the exchange when it is over. `rest` holds what came after the request.
    void exchange_over(After after, BufferPtr rest);

    // No further request; an idle connection closes now.
    void stop();

    // It has waited for a request since before `time`, and nothing of one has come.
    bool idle_since(Time time) const;
    void close_idle() { close(); }

    const std::string& address() const { return address_; }
    bool trusted() const { return trusted_; }
    const RouteEntry* service() const { return service_; }

    // The worker's.
    Socket socket;
    std::size_t slot = 0;
    std::size_t later_slot = SIZE_MAX;    // among those driven in the next turn
    std::list<Client*>::iterator by_age;  // on the edge only

  private:
    enum class State : std::uint8_t { reading, exchanging, lingering, closed };

    bool next_request();
    bool parse();
    void make_room();
    void note_head_begun();
    Time deadline() const;
    void begin_linger();
    void linger();
    void close();

    Worker& worker_;
    const RouteEntry* service_;
    Admission::Place place_;
    std::string address_;
    std::unique_ptr<Exchange> exchange_;
    BufferPtr in_;
    http1::HeadArrival arrival_;  // of the head in `in_`
    Time since_;                  // of the present state: idle, reading a head, lingering
    Time heard_;                  // lingering: when it last sent something
    std::uint64_t lingered_ = 0;  // bytes
    State state_ = State::reading;
    bool head_begun_ = false;
    bool driving_ = false;
    bool trusted_ = false;
    bool stopping_ = false;
    bool patient_ = false;  // it lingers, and is one of those that may for long
};

}  // namespace havn::gateway
