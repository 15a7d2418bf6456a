#include "wire/amqp/frame.h"

#include <algorithm>

#include "wire/amqp/properties.h"

namespace havn::amqp {

namespace {

std::size_t payload_max(std::uint32_t frame_max) {
    return frame_max == 0 ? 0xFFFF'FFFFu - frame_overhead : frame_max - frame_overhead;
}

}  // namespace

std::size_t content_size(std::size_t properties, std::size_t body, std::uint32_t frame_max) {
    const std::size_t each = payload_max(frame_max);
    const std::size_t frames = (body + each - 1) / each;
    return frame_overhead + content_header_fixed + properties + body + frames * frame_overhead;
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

char* store_content(char* to, std::uint16_t channel, std::string_view properties, std::string_view body,
                    std::uint32_t frame_max) {
    to = store_content_header(to, channel, properties, body.size());
    const std::size_t each = payload_max(frame_max);
    while (!body.empty()) {
        const std::string_view part = body.substr(0, std::min(each, body.size()));
        to = store_frame_head(to, FrameType::body, channel, part.size());
        to = store_bytes(to, part);
        to = store(to, frame_end);
        body.remove_prefix(part.size());
    }
    return to;
}

}  // namespace havn::amqp
