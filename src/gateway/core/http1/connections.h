// The clients' connections of one thread: which have work left for the next turn, which have waited for
// longest, and the exchanges that serve their requests.
//
// A connection that closes is retired; its observer is told. All that is handed to the constructor outlives
// it.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "gateway/core/http1/http1_connection.h"
#include "gateway/core/http1/http1_exchange.h"
#include "gateway/core/turn/retired.h"

namespace havn::gateway {

class Connections {
  public:
    class Observer {
      public:
        virtual void on_connection_closed() = 0;

      protected:
        ~Observer() = default;
    };

    Connections(const Http1Exchange::Environment& exchanges, Metrics& metrics, Retired& retired,
                Observer& observer)
        : exchange_environment_(exchanges), metrics_(metrics), retired_(retired), observer_(observer) {}

    // A new one, in whose transport the caller puts a client. It is counted as open until it closes.
    Http1Connection& add(const Http1Connection::Environment& environment, const Http1Connection::Peer& peer);

    // Takes back one that was added and never opened.
    void withdraw(Http1Connection& connection);

    bool empty() const { return connections_.empty(); }
    void stop();  // each closes when it is done with the request that it has

    // Closes up to `most` connections from outside that have waited for their next request since before
    // `time`, those first that have waited longest. How many it closed.
    std::size_t shed_idle(std::size_t most, Time time);

    // Goes on with it in the next turn: no client keeps the thread to itself.
    void drive_later(Http1Connection& connection);
    bool has_later() const { return !driven_later_.empty(); }
    void drive_waiting();

    void note_waiting(Http1Connection& connection);  // for its next request
    void closed(Http1Connection& connection);
    std::size_t lingering = 0;  // those that are given time to send what nobody will read

    std::unique_ptr<Http1Exchange> take_exchange();
    void give_back(std::unique_ptr<Http1Exchange> exchange);

    // Frees what a burst has left behind; between two turns.
    void trim();

  private:
    std::unique_ptr<Http1Connection> remove(Http1Connection& connection);

    const Http1Exchange::Environment& exchange_environment_;
    Metrics& metrics_;
    Retired& retired_;
    Observer& observer_;
    std::vector<std::unique_ptr<Http1Connection>> connections_;
    // From outside: in the order in which they began to wait, busy ones anywhere.
    std::list<Http1Connection*> by_age_;
    std::vector<Http1Connection*> driven_later_;
    std::vector<std::unique_ptr<Http1Exchange>> exchanges_;  // free ones
};

}  // namespace havn::gateway
