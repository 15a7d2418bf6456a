// The ids of durable queues, for all virtual hosts of a broker: which is given next, and whose a given one
// is.
//
// An id is never given twice, over restarts either: ids are reserved in blocks, and the end of the block is
// in the journal before the first id of it is used. Queues belong to their virtual hosts, which add and
// remove them.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "broker/core/message/delivery_id.h"
#include "broker/core/message/journal.h"

namespace havn::broker {

class Queue;

class QueueIds {
  public:
    explicit QueueIds(Journal& journal) : journal_(journal) {}

    QueueId next();
    void recover(std::uint32_t first_free) { next_ = reserved_ = first_free; }

    void add(QueueId id, Queue& queue) { queues_[static_cast<std::uint32_t>(id)] = &queue; }
    void remove(QueueId id) { queues_.erase(static_cast<std::uint32_t>(id)); }
    Queue* find(QueueId id) const;  // null: no queue has it

  private:
    Journal& journal_;
    std::unordered_map<std::uint32_t, Queue*> queues_;
    std::uint32_t next_ = 1, reserved_ = 1;
};

}  // namespace havn::broker
