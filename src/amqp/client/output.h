// The bytes a client has still to send to its broker, in the order in which they leave.
//
// Whole frames are encoded into one contiguous buffer. A large body is not copied: its frames' heads and ends
// stand in the buffer, its bytes are sent from where they lie, one frame at a time. While that goes on,
// frames of other kinds (heartbeats, acknowledgements, answers) wait for the end of the body frame that was
// begun and then go first; another message waits for the end of the body.
//
// Positions count bytes since clear(). Nothing here is bounded: Connection asks unsent() and sets the bounds.
// The large body belongs to whoever handed it over, who keeps it unchanged until take_body_end() tells that
// its last byte was sent, or until clear().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace havn::amqp::client {

class Output {
  public:
    // First `head`, then `body`; both are empty when there is nothing to send. Good until the next call of a
    // member that is not const.
    struct Pieces {
        std::string_view head, body;

        bool empty() const { return head.empty() && body.empty(); }
        std::size_t size() const { return head.size() + body.size(); }
    };
    Pieces pieces() const;
    void sent(std::size_t bytes);  // of the pieces, from the front

    // Where a whole frame is appended that belongs to no body.
    std::string& frames() { return sending_body() ? behind_ : out_; }

    // Where the frames of a message are appended, all of them or those before its body; not while a body is
    // being sent.
    std::string& message() { return out_; }
    void send_body(std::uint16_t channel, std::string_view body,
                   std::uint32_t frame_max);  // not an empty one

    // The frame of the body that was begun is sent to its end, as the stream must go on with a whole frame;
    // nothing of the body is sent after it.
    void cut_body();

    bool sending_body() const { return !body_.empty(); }
    std::uint16_t body_channel() const { return body_channel_; }

    // Once per body of send_body(): where it ended, when all of it that is sent was sent.
    std::optional<std::uint64_t> take_body_end();

    std::size_t unsent() const { return out_.size() - out_sent_ + behind_.size(); }  // without the body
    std::uint64_t position() const { return position_; }                       // of the first unsent byte
    std::uint64_t end() const { return position_ + out_.size() - out_sent_; }  // of what is in the buffer

    void clear();

  private:
    void next_body_frame();

    std::string out_;
    std::size_t out_sent_ = 0;  // of out_
    std::string behind_;        // frames for after the body frame that was begun
    std::uint64_t position_ = 0;
    std::string_view body_;           // empty: none
    std::size_t body_at_ = 0;         // of body_: the next byte to send
    std::size_t body_frame_end_ = 0;  // of body_: where the frame that was begun ends
    std::uint32_t frame_max_ = 0;
    std::uint16_t body_channel_ = 0;
    std::optional<std::uint64_t> body_end_;
};

}  // namespace havn::amqp::client
