// Bodies of HTTP/1: the framing of one side is taken off in place, that of the other side is put on in place.
//
// A BodyDecoder is given what was just received and finds the payload in it. Of a chunked body it is moved
// together within that memory; extensions and trailers are dropped. A BodyEncoder writes chunk sizes into the
// room a buffer has before and behind a piece. Nothing is invented: a sender that stops early stays visible.
// RFC 9112 §6, §7.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/core/downstream.h"
#include "wire/http1/chunked.h"
#include "wire/http1/framing.h"

namespace havn::gateway {

class BodyDecoder {
  public:
    BodyDecoder() = default;
    explicit BodyDecoder(http1::Framing framing);

    struct Decoded {
        std::string_view payload;              // within what was given
        std::size_t eaten = 0;                 // less than given: the rest is not part of this body
        http1::Rule rule = http1::Rule::none;  // else: malformed, and nothing more may be decoded
    };
    Decoded decode(char* data, std::size_t size);

    // The sender closed. True: the body is complete.
    bool finish();

    bool done() const { return done_; }
    std::uint64_t payload_bytes() const { return payload_bytes_; }  // so far
    const http1::Framing& framing() const { return framing_; }

  private:
    Decoded decode_chunked(char* data, std::size_t size);

    http1::Framing framing_;
    bool done_ = true;
    std::uint64_t payload_bytes_ = 0;
    http1::ChunkedDecoder chunks_;
};

class BodyEncoder {
  public:
    enum class Coding : std::uint8_t { identity, chunked };

    BodyEncoder() = default;
    explicit BodyEncoder(Coding coding) : coding_(coding) {}

    // What is to be sent for this piece: a view into its buffer. In chunks, one for each piece, and the last
    // chunk behind the last piece. The same piece may be encoded again, and gives the same bytes.
    std::string_view encode(const Piece& piece) const;

  private:
    Coding coding_ = Coding::identity;
};

}  // namespace havn::gateway
