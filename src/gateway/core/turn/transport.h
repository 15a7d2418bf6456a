// A stream of bytes in both directions, with its own idea of when it can be read and written: a plain socket,
// or one that encrypts. Who uses it knows neither.
//
// Readiness is remembered, as edges report it: readable() and writable() hold until a call says `blocked`,
// and until then the user goes on. A transport calls on_transport_ready() when something has changed, never
// from within one of its own functions. `readable` means that receive() has something to say: bytes, the end,
// or an error. A transport that is being opened is neither; finish_opening() tells when it is done.
//
// The user owns its transport and outlives it. Nothing is reported after close() or reset(); the object
// itself stays until the end of the turn, because its code may be running.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace havn::gateway {

// Bytes that wait to be sent: a head, and a part of a body. The views belong to whoever fills it in.
struct Outgoing {
    std::string_view head, body;

    bool empty() const { return head.empty() && body.empty(); }
    std::size_t size() const { return head.size() + body.size(); }
    void clear() { head = body = {}; }
    void advance(std::size_t sent) {
        const std::size_t of_head = sent < head.size() ? sent : head.size();
        head.remove_prefix(of_head);
        body.remove_prefix(sent - of_head);
    }
};

class TransportUser {
  public:
    virtual void on_transport_ready() = 0;

  protected:
    ~TransportUser() = default;
};

class Transport {
  public:
    enum class Status : std::uint8_t {
        ok,
        blocked,  // nothing now: on_transport_ready() will tell
        closed,   // receive(): the peer has finished
        failed,
    };
    struct Received {
        Status status;
        std::size_t size = 0;
    };
    enum class Opening : std::uint8_t { pending, open, failed };

    virtual ~Transport() = default;

    virtual Received receive(char* into, std::size_t size) = 0;

    // Sends what it can and takes it off `outgoing`. ok: all of it left.
    virtual Status send(Outgoing& outgoing) = 0;

    virtual Opening finish_opening() = 0;

    // While nothing is expected: the peer has closed it, or sent what nobody asked for. Takes no byte.
    virtual bool is_stale() = 0;

    virtual void shutdown_write() = 0;  // the peer sees the end; reading goes on
    virtual void close() = 0;
    virtual void reset() = 0;  // closes it so that the peer cannot take it for an end

    // Finds out by itself, within minutes, when the peer is gone without a word.
    virtual void probe_when_silent() = 0;

    bool readable() const { return readable_; }
    bool writable() const { return writable_; }
    bool peer_finished() const { return peer_finished_; }
    bool broken() const { return broken_; }  // both directions are over, or an error is pending

    // A send failed: what can still be read is read before anything else is concluded.
    void note_broken() { readable_ = broken_ = true; }

  protected:
    Transport() = default;
    Transport(Transport&&) = default;
    Transport& operator=(Transport&&) = default;

    bool readable_ = false;
    bool writable_ = true;
    bool peer_finished_ = false;
    bool broken_ = false;
};

}  // namespace havn::gateway
