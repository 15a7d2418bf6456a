#include "broker/core/message/message.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/assert.h"

namespace havn::broker {

namespace {

thread_local std::uint64_t in_memory = 0;

}  // namespace

std::uint64_t MessagePtr::bytes_in_memory() {
    return in_memory;
}

MessagePtr MessagePtr::make(const Message::Parts& parts) {
    HAVN_ASSERT(parts.exchange.size() <= 255 && parts.routing_key.size() <= 255, "short strings");
    const std::size_t size =
        parts.exchange.size() + parts.routing_key.size() + parts.properties.size() + parts.body.size();
    void* block = ::operator new(sizeof(Message) + size);
    auto* message = new (block) Message;
    message->references_ = 1;
    message->exchange_size_ = static_cast<std::uint8_t>(parts.exchange.size());
    message->routing_key_size_ = static_cast<std::uint8_t>(parts.routing_key.size());
    message->properties_size_ = static_cast<std::uint32_t>(parts.properties.size());
    message->body_size_ = static_cast<std::uint32_t>(parts.body.size());
    char* to = reinterpret_cast<char*>(message + 1);
    for (const std::string_view part : {parts.exchange, parts.routing_key, parts.properties, parts.body}) {
        if (!part.empty()) std::memcpy(to, part.data(), part.size());
        to += part.size();
    }
    in_memory += message->bytes();
    MessagePtr pointer;
    pointer.message_ = message;
    return pointer;
}

MessagePtr::~MessagePtr() {
    if (!message_ || --message_->references_ != 0) return;
    in_memory -= message_->bytes();
    ::operator delete(message_);
}

}  // namespace havn::broker
