// What serves one request on a connection of HTTP/1, kept from one request to the next: its downstream, its
// transaction, and the sources that may answer it.
#pragma once

#include "gateway/core/http1/http1_downstream.h"
#include "gateway/core/http1/upstream_source.h"
#include "gateway/core/queue_job.h"
#include "gateway/core/transaction.h"

namespace havn::gateway {

struct Http1Exchange {
    struct Environment {
        const Http1Downstream::Environment& downstream;
        const UpstreamSource::Environment& upstream;
        const QueueJob::Environment& job;
        const Transaction::Environment& transaction;
    };

    explicit Http1Exchange(const Environment& environment)
        : downstream(environment.downstream),
          upstream(environment.upstream),
          job(environment.job),
          transaction(environment.transaction, {.service = upstream, .queue = job}) {}

    void reset() {
        transaction.reset();
        downstream.reset();
    }

    Http1Downstream downstream;
    UpstreamSource upstream;
    QueueJob job;
    Transaction transaction;
};

}  // namespace havn::gateway
