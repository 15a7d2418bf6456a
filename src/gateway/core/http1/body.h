// A body on its way from one side to the other, re-framed in place.
//
// rewrite() takes what was just received, in a buffer with `headroom` writable bytes before and `tailroom`
// after it, and returns what to send: a view into that same memory. Chunk sizes are written anew in plain
// form, extensions and trailers dropped; nothing is invented, so a sender that stops early stays visible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/core/turn/buffer.h"
#include "wire/http1/chunked.h"
#include "wire/http1/framing.h"

namespace havn::gateway {

class Body {
  public:
    static constexpr std::size_t headroom = Buffer::headroom, tailroom = 2;

    enum class Coding : std::uint8_t { identity, chunked };  // of what is sent

    Body() = default;
    Body(http1::Framing received, Coding sent);

    struct Piece {
        std::string_view send;
        std::size_t eaten = 0;                 // less than given: the rest is not part of this body
        http1::Rule rule = http1::Rule::none;  // else: malformed, send nothing more
    };
    Piece rewrite(char* data, std::size_t size);

    // The sender closed. True: the body is complete, and what is returned in `send` ends it.
    bool finish(std::string_view& send);

    bool done() const { return done_; }
    std::uint64_t payload_bytes() const { return payload_bytes_; }  // without framing, so far
    const http1::Framing& received() const { return received_; }

  private:
    Piece rewrite_chunked(char* data, std::size_t size);

    http1::Framing received_;
    Coding sent_ = Coding::identity;
    bool done_ = true;
    bool inside_chunks_ = false;  // a chunk was begun before: its end is still to be sent
    std::uint64_t payload_bytes_ = 0;
    http1::ChunkedDecoder decoder_;
};

}  // namespace havn::gateway
