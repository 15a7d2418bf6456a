// Connections between the parts of a simulation, as badly behaved as TCP may be.
//
// A connection has two ends. Bytes that one end sends arrive at the other in order, in pieces and with delays
// that the seed decides; both calls may move less than they could, a full pipe blocks its sender, and either
// end may finish, reset or vanish at any moment. What is readable and writable is told by edges, as
// epoll(7) with EPOLLET tells it: a change is told once, later, and perhaps together with the next one.
//
// The network owns the ends. An end that was closed may still be named, but does nothing any more; the
// pointer stays valid as long as the network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/scheduler.h"

namespace havn::sim {

// How badly. A number of 0 means never; others mean once in so many calls.
struct NetworkFaults {
    std::uint64_t short_send_once_in = 3;     // takes only a part of what it has room for
    std::uint64_t short_receive_once_in = 3;  // gives only a part of what is there
    std::uint64_t blocked_once_in = 8;        // says "would block" though it need not; an edge follows
    std::uint64_t reset_once_in = 0;          // a send or receive resets the connection instead
    Duration delay_min = microseconds(20), delay_max = milliseconds(5);
    std::size_t pipe_bytes_min = 1, pipe_bytes_max = 65'536;  // in flight, one way; drawn per connection
};

class Network;

class End {
  public:
    enum class Status : std::uint8_t {
        ok,
        blocked,  // nothing to be had now: an edge will tell
        closed,   // receive(): the peer has finished and everything was read
        failed,   // reset, or this end is closed
    };
    struct Moved {
        Status status;
        std::size_t size = 0;  // of `ok`; at least 1
    };
    // What changed since the edge before. All of it may be true at once.
    struct Edge {
        bool readable = false, writable = false, peer_finished = false, broken = false;
    };

    // `on_edge` is called by the scheduler, never from within a call to this end, and not after close().
    void listen(std::function<void(Edge)> on_edge);

    Moved receive(char* into, std::size_t size);
    Moved send(std::string_view bytes);

    void finish();  // no more will be sent; what was sent arrives
    void reset();   // both directions end at once, and what is under way is lost
    void close();   // finish(), or reset() when bytes were left unread (RFC 1122 §4.2.2.13)

    bool open() const { return state_ != State::closed; }
    bool broken() const { return state_ == State::broken; }
    std::uint64_t bytes_sent() const { return bytes_sent_; }
    std::uint64_t bytes_received() const { return bytes_received_; }
    // Sent by the peer and not yet received, wherever it is.
    std::size_t bytes_waiting() const { return inbox_.size() + in_flight_; }
    // Sent by this end and not yet received: what SIOCOUTQ tells of a local socket.
    std::size_t bytes_unread_by_peer() const { return peer_->bytes_waiting(); }

  private:
    friend class Network;
    enum class State : std::uint8_t { open, finished, broken, closed };

    explicit End(Network& network) : network_(network) {}
    void arrive(std::string bytes);
    void arrive_finish();
    void arrive_reset();
    void note(Edge edge);
    void make_room(std::size_t bytes);

    Network& network_;
    End* peer_ = nullptr;  // owned by the network, as this is
    std::function<void(Edge)> on_edge_;
    State state_ = State::open;
    std::string inbox_;           // arrived, not yet received
    std::size_t in_flight_ = 0;   // on its way to this end
    std::size_t pipe_bytes_ = 0;  // how much the way to this end holds, with the inbox
    Time last_arrival_{};         // nothing overtakes what was sent before
    bool peer_finished_ = false;
    bool starved_sender_ = false;  // the peer found the pipe full, and is owed an edge
    bool edge_pending_ = false;
    Edge edge_;
    std::uint64_t bytes_sent_ = 0, bytes_received_ = 0;
};

class Network {
  public:
    Network(Scheduler& scheduler, NetworkFaults faults) : scheduler_(scheduler), faults_(faults) {}
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    // Two ends of a new connection; both are writable at once, without an edge.
    std::pair<End*, End*> connect();

    // Holds from the next call on.
    void set_faults(NetworkFaults faults) { faults_ = faults; }

    // Ends that are neither closed nor broken: none may be left when a run is over.
    std::size_t open_ends() const;

  private:
    friend class End;

    Scheduler& scheduler_;
    NetworkFaults faults_;
    std::vector<std::unique_ptr<End>> ends_;
};

}  // namespace havn::sim
