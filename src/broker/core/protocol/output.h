// What a connection has to send, in order.
//
// Small things are encoded at once. The body of a large message is kept by reference and cut into frames only
// as the receiver takes them, so that one message on its way to many slow receivers is in memory once.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "broker/core/message/message.h"

namespace havn::broker {

class Output {
  public:
    char* extend(std::size_t bytes);  // the caller writes them all

    // The content header and the body of `message`, in frames of at most `frame_max` bytes (specification
    // 4.2.6).
    void add_content(std::uint16_t channel, MessagePtr message, std::uint32_t frame_max);

    // What to send next. The receiver takes or clears it; empty means that there is nothing at all.
    std::string& next();

    bool empty() const { return front_.empty() && later_.empty(); }
    std::size_t size() const { return front_.size() + later_bytes_; }  // bytes still to send, about
    std::size_t encoded() const { return front_.size() + later_bytes_ - referred_bytes_; }
    void release_spare();  // the buffer that is kept for the next output

  private:
    // A body that is not encoded yet, and what follows it.
    struct Later {
        MessagePtr message;
        std::size_t sent = 0;  // of the body
        std::uint32_t frame_max = 0;
        std::uint16_t channel = 0;
        std::string after;
    };
    void encode_some();

    std::string front_;
    std::deque<Later> later_;
    std::size_t later_bytes_ = 0;     // bodies and what follows them
    std::size_t referred_bytes_ = 0;  // of these, bodies
};

}  // namespace havn::broker
