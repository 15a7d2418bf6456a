// The messages of a broker while they are in queues: their content in memory while there is room, the log for
// the rest, and the account of what all of it takes.
//
// An entry is counted from admit() to settle(). Content that is in the log may be dropped from memory and
// read back; content that is not stays in memory. Bytes are those of the process; nothing here waits or
// refuses: who asks exhausted() refuses.
//
// The journal belongs to the caller and outlives the store. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/budget.h"
#include "base/error.h"
#include "broker/core/message/entry.h"
#include "broker/core/message/journal.h"

namespace havn::broker {

class MessageStore {
  public:
    explicit MessageStore(Journal& journal) : journal_(journal) {}
    MessageStore(const MessageStore&) = delete;
    MessageStore& operator=(const MessageStore&) = delete;

    Journal& journal() { return journal_; }

    // `memory` bounds all that is held, 0 for no bound; `content` what is held of messages that are in the
    // log.
    void set_limits(std::uint64_t memory, std::uint64_t content);

    // An entry begins. `message` may be empty when the entry is in the log.
    void admit(Entry& entry, const MessagePtr& message) {
        ++entries_;
        if (entry.id.stored() && MessagePtr::bytes_in_memory() > content_bytes_max_) return;
        entry.message = message;
    }
    bool keeps_content(std::uint64_t bytes) const;  // content of that size would stay in memory
    // As Journal::read(): Error::corrupt is for good, every other error is for the moment.
    Result<MessagePtr> content(const Entry& entry);
    void settle(Entry& entry);  // that delivery is over; it is over once

    // Memory. Messages and their places are counted here; queues and connections add what they take besides.
    Budget& budget() { return budget_; }
    std::uint64_t used() const;
    bool exhausted() const { return used() > budget_.limit() + budget_.limit() / 4; }
    bool may_fetch_large();  // content that is not in memory, in spite of being exhausted
    void release_fetched();  // those that nobody is sent any more

    bool somebody_waits_for_memory = false;  // in vain just now: to be told when may_fetch_large() again

  private:
    // Large content that was read back and is on its way to somebody: found again for the next one.
    struct Fetched {
        DeliveryId id;
        std::uint32_t offset = 0;
        MessagePtr message;
    };

    Journal& journal_;
    Budget budget_{UINT64_MAX / 2};
    std::uint64_t content_bytes_max_ = 0;
    std::uint64_t entries_ = 0;
    std::vector<Fetched> fetched_;
};

}  // namespace havn::broker
