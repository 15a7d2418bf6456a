// Where messages go and what they carry beside their bodies, encoded once for many publishes.
//
// Holds the frames of basic.publish and of the content header as they stand on the wire; store() copies them
// and writes in the channel's number and the body's size. Strings are at most 255 bytes, as in Channel.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/amqp/frame.h"
#include "wire/amqp/methods.h"
#include "wire/amqp/properties.h"

namespace havn::amqp::client {

class Envelope {
  public:
    // `properties` as append_properties() writes them.
    Envelope(std::string_view exchange, std::string_view routing_key, std::string_view properties,
             bool mandatory = false)
        : properties_bytes_(properties.size()) {
        BasicPublish method;
        method.exchange = exchange;
        method.routing_key = routing_key;
        method.mandatory = mandatory;
        append_method(frames_, 0, method);
        header_at_ = frames_.size();
        store_content_header(extend(frames_, content_size(properties.size(), 0, 0)), 0, properties, 0);
    }

    std::size_t bytes() const { return frames_.size(); }
    std::size_t properties_bytes() const { return properties_bytes_; }

    // Writes bytes() of them, returns where they end.
    char* store(char* to, std::uint16_t channel, std::uint64_t body_size) const {
        char* const end = store_bytes(to, frames_);
        amqp::store(to + channel_at, channel);
        amqp::store(to + header_at_ + channel_at, channel);
        amqp::store(to + header_at_ + body_size_at, body_size);
        return end;
    }

  private:
    static constexpr std::size_t channel_at = 1;                 // in a frame
    static constexpr std::size_t body_size_at = frame_head + 4;  // in a header frame: after class and weight

    std::string frames_;
    std::size_t header_at_ = 0, properties_bytes_;
};

}  // namespace havn::amqp::client
