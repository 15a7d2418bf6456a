#include "broker/core/message/message_store.h"

namespace havn::broker {

namespace {

constexpr std::uint64_t entry_bytes = 64;  // a place in a queue, or with a consumer
constexpr std::size_t fetched_max = 64;
constexpr std::size_t fetched_max_when_exhausted = 4;

}  // namespace

void MessageStore::set_limits(std::uint64_t memory, std::uint64_t content) {
    budget_.set_limit(memory == 0 ? UINT64_MAX / 2 : memory);
    content_bytes_max_ = content;
}

bool MessageStore::keeps_content(std::uint64_t bytes) const {
    return MessagePtr::bytes_in_memory() + bytes < content_bytes_max_;
}

// Large content that is read back for one receiver is kept while it is being sent, for the others it goes to.
Result<MessagePtr> MessageStore::content(const Entry& entry) {
    if (entry.message) return entry.message;
    const bool large = entry.size >= large_body_bytes;
    if (large) {
        for (const Fetched& known : fetched_) {
            if (known.id.segment == entry.id.segment && known.offset == entry.offset) return known.message;
        }
    }
    Result<MessagePtr> message = journal_.read(entry.id, entry.offset);
    if (!large || !message) return message;
    release_fetched();
    if (fetched_.size() < fetched_max) fetched_.push_back({entry.id, entry.offset, *message});
    return message;
}

void MessageStore::release_fetched() {
    if (fetched_.empty()) return;
    std::erase_if(fetched_, [](const Fetched& known) { return known.message.is_only_reference(); });
}

bool MessageStore::may_fetch_large() {
    if (!exhausted()) return true;
    release_fetched();
    return fetched_.size() < fetched_max_when_exhausted;
}

void MessageStore::settle(Entry& entry) {
    if (entry.id.stored()) journal_.settle(entry.id, entry.size);
    entry.message = {};
    --entries_;
}

std::uint64_t MessageStore::used() const {
    return budget_.used() + MessagePtr::bytes_in_memory() + entries_ * entry_bytes;
}

}  // namespace havn::broker
