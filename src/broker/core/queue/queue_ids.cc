#include "broker/core/queue/queue_ids.h"

#include "broker/core/queue/topology_records.h"

namespace havn::broker {

namespace {

constexpr std::uint32_t block = 1'000;

}  // namespace

QueueId QueueIds::next() {
    if (next_ == reserved_) {
        reserved_ += block;
        journal_.put(topology::next_id_key, topology::id_value(reserved_));
    }
    return QueueId{next_++};
}

Queue* QueueIds::find(QueueId id) const {
    const auto found = queues_.find(static_cast<std::uint32_t>(id));
    return found == queues_.end() ? nullptr : found->second;
}

}  // namespace havn::broker
