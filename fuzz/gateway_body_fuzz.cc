// Re-framing a body in place: whatever the bytes and however they are cut, what is sent is the same, means
// the same, and stays within the room a buffer has.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "gateway/core/http1/body.h"

using havn::gateway::Body;
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

Sent pass(Framing framing, Body::Coding coding, std::string_view input, std::size_t piece) {
    Body body(framing, coding);
    Sent sent;
    while (!input.empty() && !body.done()) {
        const std::string_view part = input.substr(0, piece);
        std::vector<char> memory(Body::headroom + part.size() + Body::tailroom);
        std::copy(part.begin(), part.end(), memory.begin() + Body::headroom);
        const Body::Piece rewritten = body.rewrite(memory.data() + Body::headroom, part.size());
        sent.malformed = rewritten.rule != Rule::none;
        if (sent.malformed) return sent;
        require(rewritten.send.empty() ||
                (rewritten.send.data() >= memory.data() &&
                 rewritten.send.data() + rewritten.send.size() <= memory.data() + memory.size()));
        require(body.done() || rewritten.eaten == part.size());
        sent.bytes += rewritten.send;
        input.remove_prefix(part.size());
    }
    std::string_view end;
    sent.complete = body.done() || body.finish(end);
    sent.bytes += end;
    return sent;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::size_t piece = data[0] % 40u + 1;
    const Framing framing{static_cast<Framing::Kind>(data[1] % 4), data[1] / 4u};
    const bool chunked = framing.kind == Framing::Kind::chunked;

    const Sent plain = pass(framing, Body::Coding::identity, input, piece);
    const Sent whole = pass(framing, Body::Coding::identity, input, input.size() + 1);
    require(plain.malformed == whole.malformed && plain.complete == whole.complete);
    require(plain.malformed || plain.bytes == whole.bytes);
    if (!chunked && framing.kind != Framing::Kind::until_close) return 0;

    const Sent sent = pass(framing, Body::Coding::chunked, input, piece);
    require(sent.malformed == plain.malformed && sent.complete == plain.complete);
    if (sent.malformed) return 0;
    const Sent back =
        pass({Framing::Kind::chunked, 0}, Body::Coding::identity, sent.bytes, input.size() + 64);
    require(!back.malformed && back.complete == sent.complete && back.bytes == plain.bytes);
    return 0;
}
