// Framing a body anew in place: whatever the bytes and however they are cut, what is sent means the same, and
// stays within the room a buffer has.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "gateway/core/http1/body.h"

using namespace havn::gateway;
using havn::http1::Framing;
using havn::http1::Rule;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

struct Sent {
    std::string bytes;
    bool complete = false;
    bool malformed = false;
    bool operator==(const Sent&) const = default;
};

namespace {

Sent pass(Framing framing, BodyEncoder::Coding coding, std::string_view input, std::size_t piece) {
    BodyDecoder decoder(framing);
    const BodyEncoder encoder(coding);
    Sent sent;
    while (!input.empty() && !decoder.done()) {
        const std::string_view part = input.substr(0, piece);
        Buffer buffer(Buffer::headroom + part.size() + Buffer::tailroom);
        buffer.append(part);
        const BodyDecoder::Decoded decoded = decoder.decode(buffer.first(), buffer.size());
        sent.malformed = decoded.rule != Rule::none;
        if (sent.malformed) return sent;
        require(decoded.payload.empty() ||
                (decoded.payload.data() >= buffer.first() && decoded.payload.end() <= buffer.text().end()));
        require(decoder.done() || decoded.eaten == part.size());
        const std::string rest(buffer.text().substr(decoded.eaten));
        const Piece found{.bytes = decoded.payload, .in = &buffer, .last = decoder.done()};
        sent.bytes += encoder.encode(found);
        require(buffer.text().substr(decoded.eaten) == rest);  // what is not of this body is still there
        input.remove_prefix(part.size());
    }
    sent.complete = decoder.done() || decoder.finish();
    return sent;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::size_t piece = data[0] % 40u + 1;
    const Framing framing{static_cast<Framing::Kind>(data[1] % 4), data[1] / 4u};
    const bool chunked = framing.kind == Framing::Kind::chunked;

    const Sent plain = pass(framing, BodyEncoder::Coding::identity, input, piece);
    const Sent whole = pass(framing, BodyEncoder::Coding::identity, input, input.size() + 1);
    require(plain.malformed == whole.malformed && plain.complete == whole.complete);
    require(plain.malformed || plain.bytes == whole.bytes);
    if (!chunked && framing.kind != Framing::Kind::until_close) return 0;

    Sent sent = pass(framing, BodyEncoder::Coding::chunked, input, piece);
    require(sent.malformed == plain.malformed && sent.complete == plain.complete);
    if (sent.malformed) return 0;
    if (sent.complete && !chunked) {
        sent.bytes += BodyEncoder(BodyEncoder::Coding::chunked).encode({.last = true});
    }
    const Sent back =
        pass({Framing::Kind::chunked, 0}, BodyEncoder::Coding::identity, sent.bytes, input.size() + 64);
    require(!back.malformed && back.complete == sent.complete && back.bytes == plain.bytes);
    return 0;
}
