// A message as published, in one block: routing and content together, immutable, reference-counted within the
// broker's one thread.
//
// Whoever holds a MessagePtr owns a share of the block; the last one frees it. Views that a Message gives out
// live as long as some MessagePtr to it does. Sizes are bytes; exchange and routing key are AMQP short
// strings.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

namespace havn::broker {

// A body of this size or more is kept by reference on its way to a client, and shared when it is read back.
inline constexpr std::size_t large_body_bytes = 32u << 10;

// `properties` is the content header's flag words and values as they came (specification 4.2.6.1). They were
// validated when the message was published, and go out again as they are.
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
