// The broker's vocabulary.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>
#include <utility>

namespace havn::broker {

// A durable queue's name in the log: given once, never used again.
enum class QueueId : std::uint32_t {};

// One (message, queue) pair in the log: which segment, and the how-manieth delivery of that segment. Ordered
// as published. The default value means "not in the log": transient, or in a queue that is not durable.
struct DeliveryId {
    std::uint32_t segment = 0;  // from 1
    std::uint32_t ordinal = 0;

    bool stored() const { return segment != 0; }
    auto operator<=>(const DeliveryId&) const = default;
};

using WallMilliseconds = std::int64_t;  // since 1970

// How far the log has been written, in bytes since the process began. A confirm waits for the log's durable
// position to reach the value `Journal::position()` had after the append.
using LogPosition = std::uint64_t;

// A message as published, in one block: routing and content together, immutable, reference-counted within the
// broker's one thread. `properties` is the content header's flag words and values as they came (specification
// 4.2.6.1), already validated, and goes out again as it is.
class Message {
  public:
    struct Parts {
        std::string_view exchange, routing_key, properties, body;
    };

    Parts parts() const { return {exchange(), routing_key(), properties(), body()}; }
    std::string_view exchange() const { return {data(), exchange_size_}; }
    std::string_view routing_key() const { return {data() + exchange_size_, routing_key_size_}; }
    std::string_view properties() const {
        return {data() + exchange_size_ + routing_key_size_, properties_size_};
    }
    std::string_view body() const {
        return {data() + exchange_size_ + routing_key_size_ + properties_size_, body_size_};
    }
    std::size_t bytes() const {
        return sizeof(Message) + exchange_size_ + routing_key_size_ + properties_size_ + body_size_;
    }

  private:
    friend class MessagePtr;
    Message() = default;
    const char* data() const { return reinterpret_cast<const char*>(this + 1); }

    std::uint32_t references_ = 0;
    std::uint32_t properties_size_ = 0;
    std::uint32_t body_size_ = 0;
    std::uint8_t exchange_size_ = 0;  // a short string: at most 255 bytes
    std::uint8_t routing_key_size_ = 0;
};

class MessagePtr {
  public:
    MessagePtr() = default;
    static MessagePtr make(const Message::Parts& parts);  // copies; exchange and key at most 255 bytes each

    // Of all messages this thread has, each counted once however many refer to it. A broker is its thread's
    // only one, so this is what message content costs it.
    static std::uint64_t bytes_in_memory();

    MessagePtr(const MessagePtr& other) : message_(other.message_) {
        if (message_) ++message_->references_;
    }
    MessagePtr(MessagePtr&& other) noexcept : message_(std::exchange(other.message_, nullptr)) {}
    MessagePtr& operator=(MessagePtr other) noexcept {
        std::swap(message_, other.message_);
        return *this;
    }
    ~MessagePtr();

    const Message* operator->() const { return message_; }
    const Message& operator*() const { return *message_; }
    explicit operator bool() const { return message_ != nullptr; }
    bool is_only_reference() const { return message_ && message_->references_ == 1; }

  private:
    Message* message_ = nullptr;
};

}  // namespace havn::broker
