// Frames (specification 2.3.5, 4.2.3): type, channel, size, payload, end mark.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/amqp/bytes.h"

namespace havn::amqp {

enum class FrameType : std::uint8_t { method = 1, header = 2, body = 3, heartbeat = 8 };

inline constexpr std::uint8_t frame_end = 0xCE;
inline constexpr std::size_t frame_head = 7;
inline constexpr std::size_t frame_overhead = frame_head + 1;  // a frame's bytes beside its payload
inline constexpr std::uint32_t frame_bytes_min = 4'096;        // every peer must take frames of this size
inline constexpr std::string_view protocol_header{"AMQP\0\0\x09\x01", 8};

struct Frame {
    std::uint8_t type = 0;  // any value: judged by whoever knows the channel
    std::uint16_t channel = 0;
    std::string_view payload;
};

enum class Parse {
    complete,   // `eaten` bytes were used
    need_more,  // nothing was
    too_large,  // the frame with its overhead is larger than allowed
    bad_end,    // no end mark where the frame should end
};

struct FrameParse {
    Parse status = Parse::need_more;
    std::size_t eaten = 0;
    Frame frame;
};

// The frame at the start of `in`. `bytes_max` bounds a whole frame; 0 means no bound.
inline FrameParse parse_frame(std::string_view in, std::uint32_t bytes_max) {
    FrameParse parsed;
    if (in.size() < frame_head) return parsed;
    parsed.frame.type = static_cast<std::uint8_t>(in[0]);
    parsed.frame.channel = load<std::uint16_t>(in.data() + 1);
    const std::size_t size = load<std::uint32_t>(in.data() + 3);
    if (bytes_max != 0 && size + frame_overhead > bytes_max) {
        parsed.status = Parse::too_large;
        return parsed;
    }
    if (in.size() < size + frame_overhead) return parsed;
    if (static_cast<std::uint8_t>(in[frame_head + size]) != frame_end) {
        parsed.status = Parse::bad_end;
        return parsed;
    }
    parsed.frame.payload = in.substr(frame_head, size);
    parsed.eaten = size + frame_overhead;
    parsed.status = Parse::complete;
    return parsed;
}

inline char* store_frame_head(char* to, FrameType type, std::uint16_t channel, std::size_t payload_size) {
    to = store(to, static_cast<std::uint8_t>(type));
    to = store(to, channel);
    return store(to, static_cast<std::uint32_t>(payload_size));
}

// A whole frame around `payload`.
inline void append_frame(std::string& out, FrameType type, std::uint16_t channel, std::string_view payload) {
    char* to = extend(out, payload.size() + frame_overhead);
    to = store_frame_head(to, type, channel, payload.size());
    store(store_bytes(to, payload), frame_end);
}

// The content header of class basic and the body, split into frames of at most `frame_max` bytes (0: one
// frame). `properties` are flag words and values as on the wire. An empty body has no body frame.
std::size_t content_size(std::size_t properties, std::size_t body, std::uint32_t frame_max);
char* store_content(char* to, std::uint16_t channel, std::string_view properties, std::string_view body,
                    std::uint32_t frame_max);

// The body alone, split likewise.
std::size_t body_frames_size(std::size_t body, std::uint32_t frame_max);
char* store_body(char* to, std::uint16_t channel, std::string_view body, std::uint32_t frame_max);

// The content header alone, of a body that follows later: content_size(properties, 0, frame_max) bytes.
char* store_content_header(char* to, std::uint16_t channel, std::string_view properties,
                           std::uint64_t body_size);

}  // namespace havn::amqp
