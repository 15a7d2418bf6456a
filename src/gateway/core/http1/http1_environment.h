// What the classes that serve HTTP/1 are handed, put together once per thread from what the thread has.
#pragma once

#include "gateway/core/http1/connections.h"
#include "gateway/core/turn/turn.h"

namespace havn::gateway {

struct Http1Environment {
    // All of it outlives the environment, and that outlives all connections.
    struct Parts {
        Turn& turn;
        Settings& settings;
        Clusters& clusters;
        Metrics& metrics;
        LogBuffer& log;
        MemoryShare& memory;
        Publisher& publisher;
        QueueJob::Observer& refusals;
        Connections& connections;
    };

    explicit Http1Environment(const Parts& parts)
        : downstream{parts.turn.clock, parts.turn.buffers, parts.settings, parts.turn.ids},
          upstream{parts.turn.clock, parts.turn.buffers, parts.settings, parts.clusters},
          job{parts.turn.clock, parts.settings, parts.memory, parts.publisher, parts.refusals},
          transaction{parts.turn.clock, parts.turn.deadlines, parts.settings, parts.metrics, parts.log},
          exchange{downstream, upstream, job, transaction},
          connection{parts.turn.clock, parts.turn.deadlines, parts.turn.buffers, parts.settings,
                     parts.connections} {}
    Http1Environment(const Http1Environment&) = delete;
    Http1Environment& operator=(const Http1Environment&) = delete;

    Http1Downstream::Environment downstream;
    UpstreamSource::Environment upstream;
    QueueJob::Environment job;
    Transaction::Environment transaction;
    Http1Exchange::Environment exchange;
    Http1Connection::Environment connection;
};

}  // namespace havn::gateway
