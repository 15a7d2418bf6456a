#include "wire/amqp/frame.h"

#include "wire/amqp/properties.h"

namespace havn::amqp {

namespace {

std::size_t payload_max(std::uint32_t frame_max) {
    return frame_max == 0 ? 0xFFFF'FFFFu - frame_overhead : frame_max - frame_overhead;
}

char* store_body_frame(char* to, std::uint16_t channel, std::string_view part) {
    to = store_frame_head(to, FrameType::body, channel, part.size());
    return store(store_bytes(to, part), frame_end);
}

}  // namespace

std::size_t body_frames_size(std::size_t body, std::uint32_t frame_max) {
    const std::size_t each = payload_max(frame_max);
    if (body <= each) return body == 0 ? 0 : body + frame_overhead;
    return body + (body + each - 1) / each * frame_overhead;
}

std::size_t content_size(std::size_t properties, std::size_t body, std::uint32_t frame_max) {
    return frame_overhead + content_header_fixed + properties + body_frames_size(body, frame_max);
}

char* store_content_header(char* to, std::uint16_t channel, std::string_view properties,
                           std::uint64_t body_size) {
    to = store_frame_head(to, FrameType::header, channel, content_header_fixed + properties.size());
    to = store(to, basic_class);
    to = store(to, std::uint16_t{0});  // weight
    to = store(to, body_size);
    to = store_bytes(to, properties);
    return store(to, frame_end);
}

char* store_body(char* to, std::uint16_t channel, std::string_view body, std::uint32_t frame_max) {
    const std::size_t each = payload_max(frame_max);
    while (body.size() > each) {
        to = store_body_frame(to, channel, body.substr(0, each));
        body.remove_prefix(each);
    }
    return body.empty() ? to : store_body_frame(to, channel, body);
}

char* store_content(char* to, std::uint16_t channel, std::string_view properties, std::string_view body,
                    std::uint32_t frame_max) {
    to = store_content_header(to, channel, properties, body.size());
    return store_body(to, channel, body, frame_max);
}

}  // namespace havn::amqp
