// Who asked: one request and the response to it, on a connection of whatever protocol. An HTTP/1 connection
// has one of these at a time, one of HTTP/2 will have many.
//
// A transaction reads the request's body from it and hands it the response. Framing is the downstream's: it
// is given heads and payload, and writes them as its protocol wants. It sends from where the bytes lie: what
// it was handed stays untouched until flush() says `done`, and is taken back when the transaction is over.
#pragma once

#include <cstdint>
#include <string_view>

#include "gateway/core/request.h"
#include "gateway/core/turn/buffer.h"

namespace havn::gateway {

// A piece of a body: payload without framing. It lies in `in`, in which up to Buffer::headroom bytes before
// it and Buffer::tailroom behind it may be written over by whoever frames it anew; where `in` is null, only
// what has a length may be made of it.
struct Piece {
    std::string_view bytes = {};
    Buffer* in = nullptr;  // owned by whoever gave the piece, who keeps it until the next one is asked for
    bool last = false;     // the body ends with it; it may be empty then
};

// The head of a response from a source, and what of its body came along. Everything belongs to the source and
// stays until it is read from again.
struct Response {
    const http1::ResponseHead* head = nullptr;
    const http1::ResponseFacts* facts = nullptr;
    std::string_view raw = {};  // as of a Request
    Piece body = {};
    bool own = false;  // the gateway's own answer: what is left of the request's body is of no use
};

// What became of sending what waits.
struct Flushed {
    enum class Status : std::uint8_t { done, blocked, failed };
    Status status = Status::done;
    bool moved = false;  // at least one byte left
};

class Downstream {
  public:
    // What became of reading a piece of the request's body.
    enum class Body : std::uint8_t {
        piece,
        wait,         // an event will tell
        half_closed,  // the client of a tunnel has said everything
        gone,         // the client is lost
        refused,      // it breaks body_rule()
    };
    // How a transaction ended.
    enum class End : std::uint8_t {
        complete,  // the request was used up, the response is whole
        early,     // the response is whole, the client may still be sending its request
        cut,       // the response is incomplete, and the client must see that
        gone,      // the client is lost
    };

    virtual const Request& request() const = 0;

    virtual Body read_body(Piece& piece) = 0;
    virtual bool body_at_hand() const = 0;  // something of it came with the head, and is still to be read
    virtual bool body_done() const = 0;
    virtual std::uint64_t body_bytes() const = 0;  // read so far, without framing
    virtual http1::Rule body_rule() const = 0;

    // All that was read of the body is on its way, and will not be asked for again.
    virtual void release_body() = 0;

    // Reads and drops what is left of the request's body where the connection is to be kept. `piece`: nothing
    // is left to do.
    virtual Body discard_body() = 0;

    // False: the head is larger than can be sent, and nothing of it will be. What waits to be sent, of an
    // interim response, stays before it.
    [[nodiscard]] virtual bool send_interim(const Response& response) = 0;
    [[nodiscard]] virtual bool send_head(const Response& response) = 0;
    [[nodiscard]] virtual bool switch_protocols(const Response& response) = 0;  // 101: a tunnel from here on
    virtual void send_body(const Piece& piece) = 0;

    virtual bool has_unsent() const = 0;
    virtual Flushed flush() = 0;

    // Drops what waits. For an interim response of which nothing was sent.
    virtual void drop_unsent() = 0;

    // Neither the transaction nor the downstream is touched afterwards: they may serve another request.
    virtual void finish(End end) = 0;

    // Goes on with the transaction: at once, or in the next turn, so that no client keeps the thread.
    virtual void drive() = 0;
    virtual void drive_later() = 0;

  protected:
    ~Downstream() = default;
};

}  // namespace havn::gateway
