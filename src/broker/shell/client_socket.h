// A client's socket around its AMQP connection: bytes in, bytes out, and when not to read.
//
// The server's loop turn drives it: on_readable feeds the connection at once, output leaves when the turn
// ends, so that all a turn produced goes out with one call. An idle client owns no buffer.
//
// After the connection has closed, what the client still sends is read and thrown away until it hangs up, for
// a few seconds at most: a socket closed with unread input resets the TCP connection, and the client would
// lose the answer to its connection.close. Nor is one waited for that takes nothing of what is left for it.
//
// Owned by the server's table and, while it waits for its socket, by the handler of that. The server outlives
// it.
#pragma once

#include <memory>
#include <string>

#include "broker/core/connection.h"
#include "io/asio.h"

namespace havn::broker {

class Server;

class ClientSocket : public std::enable_shared_from_this<ClientSocket> {
  public:
    ClientSocket(Server& server, io::StreamSocket socket, Connection::Peer peer, Time now);

    void start() { read_when_readable(); }
    void send(Time now);     // what the connection has, as far as the socket takes it
    void resume(Time now);   // the connection may go on with what it was given: offers it again
    void drop(Time now);     // ends the connection and closes the socket
    void on_tick(Time now);  // once a second
    bool finished();         // nothing more to send or to hear

    Connection& connection() { return connection_; }
    struct Lists {  // of the server, which keeps this
        bool touched = false, waiting = false, resumable = false;
    };
    Lists on;

  private:
    void read_when_readable();
    void on_readable(io::ErrorCode error);
    void discard_input();
    void feed(std::string_view bytes, Time now);
    void on_writable(io::ErrorCode error);
    bool send_some();  // false: the socket takes no more for now
    bool may_read() const;
    bool peer_has_gone() const;
    void hang_up();
    bool all_sent() { return sent_ == unsent_.size() && !connection_.has_output(); }
    void linger(Time now);
    void wait_for_receiver(bool takes_something, Time now);
    void log_if_choked();

    Server& server_;
    io::StreamSocket socket_;
    Connection connection_;
    std::string unread_;  // what the connection has not eaten
    std::string unsent_;
    std::size_t sent_ = 0;  // of unsent_
    std::uint64_t sent_ever_ = 0, sent_at_tick_ = 0;
    std::uint64_t discarded_ = 0;
    Time linger_until_ = Time::max();
    bool reading_ = false, writing_ = false, hung_up_ = false, dropped_ = false;
    bool lingering_ = false, told_end_ = false;
    bool was_held_back_ = false;  // by an alarm, since the connection last ate
    bool logged_choked_ = false;  // ever
};

}  // namespace havn::broker
