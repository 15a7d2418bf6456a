// Everything that is on its way to one client: what is encoded, what waits for the log, and how much of it
// the client leaves unread.
//
// A reply that promises durability is held until on_durable(), and all behind it that must not overtake it.
// The outbox has no limit of its own: has_room() and is_choked() are asked before more is put in, and what
// the client caused is bounded by them. Bytes.
//
// It belongs to its connection. The context outlives both.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/core/protocol/connection_context.h"
#include "broker/core/protocol/output.h"
#include "broker/core/queue/dead_letter.h"
#include "wire/amqp/frame.h"
#include "wire/amqp/methods.h"
#include "wire/amqp/properties.h"

namespace havn::broker {

class Outbox {
  public:
    // Deliveries stop while the client leaves more than this unread. Beyond the higher mark nothing it sends
    // is looked at, until it has read down to the lower one.
    static constexpr std::size_t room_bytes = 1u << 20;
    static constexpr std::size_t choked_bytes = 4u << 20;

    Outbox(ConnectionContext& context, Connection& connection) : context_(context), connection_(connection) {}
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    template <class Method>
    void send(std::uint16_t channel, const Method& method) {
        const std::size_t size = amqp::method_frame_size(method);
        amqp::store_method_frame(extend(size), channel, method, size);
    }
    // Sent once the log is durable up to `promised`; until then nothing more is read from this client.
    template <class Method>
    void send_durably(std::uint16_t channel, const Method& method, LogPosition promised) {
        if (promised <= context_.durable) return send(channel, method);
        held_until_ = promised;
        amqp::append_method(held_, channel, method);
    }
    // Behind a reply that waits for the log, if there is one.
    template <class Method>
    void send_after_held(std::uint16_t channel, const Method& method) {
        if (held_until_ == 0) return send(channel, method);
        amqp::append_method(held_, channel, method);
    }
    template <class Method>
    void send_content(std::uint16_t channel, const Method& method, MessagePtr message) {
        send(channel, method);
        if (!fits(*message)) message = with_fewer_headers(*message, properties_bytes_max());
        output_.add_content(channel, std::move(message), frame_max_);
    }
    void send_heartbeat();
    void send_bytes(std::string_view bytes);
    char* extend(std::size_t bytes);  // the caller writes them all
    void wake() { context_.waker.wake(connection_); }

    // A content header is one frame and cannot be split. Where this client's frames are too small for it,
    // x-death and its like are left out, and then all headers.
    bool fits(const Message& message) const { return message.properties().size() <= properties_bytes_max(); }
    std::uint32_t frame_max() const { return frame_max_; }
    void set_frame_max(std::uint32_t bytes) { frame_max_ = bytes; }

    // Replies that wait for the log.
    LogPosition held_until() const { return held_until_; }  // 0: none
    void release_held();                                    // as far as the log is durable
    void drop_held();

    // How much the client leaves unread.
    std::size_t unread() const { return output_.size() + unsent_; }
    bool has_room() {  // for deliveries; asks to be told when there is again
        if (unread() < room_bytes) return true;
        room_is_wanted_ = true;
        return false;
    }
    bool room_is_back();  // whether somebody asked, and there is: tells it once
    bool is_choked() const { return choked_; }
    void note_choked() { choked_ = unread() > choked_bytes; }
    void note_read() { choked_ = choked_ && unread() > room_bytes; }
    void set_unsent(std::size_t bytes) { unsent_ = bytes; }  // taken from the output, not sent yet
    std::size_t bytes_held() const {
        return output_.encoded() + unsent_ + held_.size();
    }  // in memory, here alone
    std::size_t unread_and_held() const { return unread() + held_.size(); }

    Output& output() { return output_; }
    const Output& output() const { return output_; }

  private:
    std::size_t properties_bytes_max() const {
        return frame_max_ - amqp::frame_overhead - amqp::content_header_fixed;
    }

    ConnectionContext& context_;
    Connection& connection_;  // whose it is
    Output output_;
    std::string held_;  // encoded replies that wait for the log
    LogPosition held_until_ = 0;
    std::uint32_t frame_max_ = amqp::frame_bytes_min;
    std::size_t unsent_ = 0;
    bool room_is_wanted_ = false;  // a delivery found no room
    bool choked_ = false;          // the client leaves too much unread to be listened to
};

}  // namespace havn::broker
