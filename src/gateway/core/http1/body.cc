#include "gateway/core/http1/body.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "wire/http1/write.h"

namespace havn::gateway {

using Kind = http1::Framing::Kind;

Body::Body(http1::Framing received, Coding sent) : received_(received), sent_(sent) {
    done_ = received.kind == Kind::none || (received.kind == Kind::length && received.length == 0);
}

static void put_chunk_size(char*& out, std::uint64_t size) {
    char line[Body::headroom];
    http1::SpanWriter writer(line);
    http1::write_chunk_size(writer, size);
    std::memcpy(out, line, writer.size());
    out += writer.size();
}

Body::Piece Body::rewrite(char* data, std::size_t size) {
    if (done_ || size == 0) return {};
    if (received_.kind == Kind::chunked) return rewrite_chunked(data, size);
    if (received_.kind == Kind::length) {
        size = static_cast<std::size_t>(std::min<std::uint64_t>(size, received_.length - payload_bytes_));
        payload_bytes_ += size;
        done_ = payload_bytes_ == received_.length;
        return {{data, size}, size, http1::Rule::none};
    }
    payload_bytes_ += size;
    if (sent_ == Coding::identity) return {{data, size}, size, http1::Rule::none};
    char* const begin = data - headroom;
    char* out = begin;
    put_chunk_size(out, size);
    // The line ends where the data begins.
    const auto line = static_cast<std::size_t>(out - begin);
    std::memmove(data - line, begin, line);
    std::memcpy(data + size, "\r\n", tailroom);
    return {{data - line, line + size + tailroom}, size, http1::Rule::none};
}

Body::Piece Body::rewrite_chunked(char* data, std::size_t size) {
    // Starting `headroom` early, the output never catches up with the input: all that can be written before
    // it is read is what earlier input held back, the end of a chunk and a size line of at most 20 bytes.
    char* const begin = data - headroom;
    char* out = begin;
    const auto put = [&](std::string_view text) {
        std::memmove(out, text.data(), text.size());
        out += text.size();
    };
    std::size_t at = 0;
    while (at < size && !done_) {
        const http1::ChunkedDecoder::Step step = decoder_.next({data + at, size - at});
        at += step.eaten;
        switch (step.event) {
            case http1::ChunkedDecoder::Event::need_more:
                break;
            case http1::ChunkedDecoder::Event::malformed:
                return {{}, at, step.rule};
            case http1::ChunkedDecoder::Event::data:
                payload_bytes_ += step.data.size();
                put(step.data);
                break;
            case http1::ChunkedDecoder::Event::chunk:
                if (sent_ == Coding::identity) break;
                if (inside_chunks_) put("\r\n");
                inside_chunks_ = true;
                put_chunk_size(out, step.size);
                break;
            case http1::ChunkedDecoder::Event::end:
                done_ = true;
                if (sent_ == Coding::identity) break;
                if (inside_chunks_) put("\r\n");
                put(http1::last_chunk);
                break;
        }
        HAVN_ASSERT(out <= data + at, "output never overtakes input");
    }
    return {{begin, static_cast<std::size_t>(out - begin)}, at, http1::Rule::none};
}

bool Body::finish(std::string_view& send) {
    send = {};
    if (done_) return true;
    if (received_.kind != Kind::until_close) return false;
    done_ = true;
    if (sent_ == Coding::chunked) send = http1::last_chunk;
    return true;
}

}  // namespace havn::gateway
