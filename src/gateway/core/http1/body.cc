#include "gateway/core/http1/body.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "wire/http1/write.h"

namespace havn::gateway {

using Kind = http1::Framing::Kind;

BodyDecoder::BodyDecoder(http1::Framing framing)
    : framing_(framing),
      done_(framing.kind == Kind::none || (framing.kind == Kind::length && framing.length == 0)) {}

BodyDecoder::Decoded BodyDecoder::decode(char* data, std::size_t size) {
    if (done_ || size == 0) return {};
    if (framing_.kind == Kind::chunked) return decode_chunked(data, size);
    if (framing_.kind == Kind::length) {
        size = static_cast<std::size_t>(std::min<std::uint64_t>(size, framing_.length - payload_bytes_));
    }
    payload_bytes_ += size;
    done_ = framing_.kind == Kind::length && payload_bytes_ == framing_.length;
    return {{data, size}, size, http1::Rule::none};
}

// The first stretch of data stays where it is, those of further chunks are moved up behind it.
BodyDecoder::Decoded BodyDecoder::decode_chunked(char* data, std::size_t size) {
    char* begin = data;
    char* end = data;
    std::size_t at = 0;
    while (at < size && !done_) {
        const http1::ChunkedDecoder::Step step = chunks_.next({data + at, size - at});
        at += step.eaten;
        switch (step.event) {
            case http1::ChunkedDecoder::Event::need_more:
            case http1::ChunkedDecoder::Event::chunk:
                break;
            case http1::ChunkedDecoder::Event::malformed:
                return {{}, at, step.rule};
            case http1::ChunkedDecoder::Event::data: {
                char* const found = data + (step.data.data() - data);
                if (begin == end) begin = end = found;
                if (end != found) std::memmove(end, found, step.data.size());
                end += step.data.size();
                payload_bytes_ += step.data.size();
                break;
            }
            case http1::ChunkedDecoder::Event::end:
                done_ = true;
                break;
        }
    }
    return {{begin, static_cast<std::size_t>(end - begin)}, at, http1::Rule::none};
}

bool BodyDecoder::finish() {
    if (framing_.kind == Kind::until_close) done_ = true;
    return done_;
}

// A buffer has room for it: what comes before is a size line, what comes behind the end of a chunk and the
// last chunk. Of a chunked body that was received the last piece has that room even where other bytes follow:
// its own last chunk was there.
std::string_view BodyEncoder::encode(const Piece& piece) const {
    constexpr std::string_view chunk_end = "\r\n";
    static_assert(chunk_end.size() + http1::last_chunk.size() <= Buffer::tailroom);
    if (coding_ == Coding::identity) return piece.bytes;
    if (piece.bytes.empty()) return piece.last ? http1::last_chunk : std::string_view();
    HAVN_ASSERT(piece.in != nullptr, "who sends a body without a length gives its buffer along");
    char line[Buffer::headroom];
    http1::SpanWriter writer(line);
    http1::write_chunk_size(writer, piece.bytes.size());
    char* const begin = piece.in->at(piece.bytes.data()) - writer.size();
    std::memcpy(begin, line, writer.size());
    char* end = begin + writer.size() + piece.bytes.size();
    std::memcpy(end, chunk_end.data(), chunk_end.size());
    end += chunk_end.size();
    if (piece.last) {
        std::memcpy(end, http1::last_chunk.data(), http1::last_chunk.size());
        end += http1::last_chunk.size();
    }
    return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace havn::gateway
