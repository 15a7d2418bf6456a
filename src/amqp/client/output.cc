#include "amqp/client/output.h"

#include <algorithm>
#include <utility>

#include "wire/amqp/frame.h"

namespace havn::amqp::client {

namespace {

constexpr std::size_t kept_bytes_max = 524'288;       // capacity that an empty buffer keeps
constexpr std::size_t compacted_from_bytes = 65'536;  // sent, before what is left is moved to the front

}  // namespace

Output::Pieces Output::pieces() const {
    return {std::string_view(out_).substr(out_sent_), body_.substr(body_at_, body_frame_end_ - body_at_)};
}

void Output::sent(std::size_t bytes) {
    position_ += bytes;
    const std::size_t of_out = std::min(bytes, out_.size() - out_sent_);
    out_sent_ += of_out;
    bytes -= of_out;
    if (out_sent_ == out_.size()) {
        out_.clear();
        out_sent_ = 0;
        if (out_.capacity() > kept_bytes_max) out_.shrink_to_fit();
    } else if (out_sent_ >= compacted_from_bytes && out_sent_ >= out_.size() / 2) {
        out_.erase(0, out_sent_);
        out_sent_ = 0;
    }
    if (!sending_body()) return;
    body_at_ += bytes;
    if (body_at_ == body_frame_end_) next_body_frame();
}

void Output::send_body(std::uint16_t channel, std::string_view body, std::uint32_t frame_max) {
    body_ = body;
    body_at_ = body_frame_end_ = 0;
    body_channel_ = channel;
    frame_max_ = frame_max;
    next_body_frame();
}

// The bytes of the frame that was begun are all sent: it is ended, what waited for its end follows, and then
// the next one is begun.
void Output::next_body_frame() {
    if (body_at_ > 0) out_ += static_cast<char>(frame_end);
    const std::uint64_t here = end();
    out_ += std::exchange(behind_, {});
    if (body_at_ == body_.size()) {
        body_end_ = here;
        body_ = {};
        body_at_ = body_frame_end_ = 0;
        return;
    }
    const std::size_t part = std::min<std::size_t>(body_.size() - body_at_, frame_max_ - frame_overhead);
    body_frame_end_ = body_at_ + part;
    store_frame_head(extend(out_, frame_head), FrameType::body, body_channel_, part);
}

void Output::cut_body() {
    if (sending_body()) body_ = body_.substr(0, body_frame_end_);
}

std::optional<std::uint64_t> Output::take_body_end() {
    return std::exchange(body_end_, std::nullopt);
}

void Output::clear() {
    *this = Output();
}

}  // namespace havn::amqp::client
