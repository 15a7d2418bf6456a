#include "control/engine/queue_engine.h"

namespace havn::control {

namespace {

template <class Value>
void put(Json& row, const char* key, const std::optional<Value>& value) {
    if (value) row[key] = *value;
}

}  // namespace

Json to_json(const std::vector<QueueState>& queues) {
    Json rows = Json::array();
    for (const QueueState& queue : queues) {
        Json row{{"vhost", queue.vhost}, {"name", queue.name}};
        put(row, "durable", queue.durable);
        put(row, "ready", queue.ready);
        put(row, "unacked", queue.unacked);
        put(row, "consumers", queue.consumers);
        put(row, "bytes", queue.bytes);
        put(row, "published", queue.published);
        put(row, "acknowledged", queue.acknowledged);
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace havn::control
