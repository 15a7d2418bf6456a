// The gateway process: HTTP in, and HTTP to a service or a job to a queue out. ARCHITECTURE.md says what it
// is told over its link.
//
// run() is called in the data folder. It reads applied/parts/gateway.json, writes logs/gateway/access.log
// and serves on run/gateway.sock:
//   PUT /config     a whole configuration (contract/gateway.h); in force for new requests when answered
//   GET /status     revision, threads, endpoints' version, what it is short of (core/alarms.h)
//   GET /metrics    Prometheus text
// It returns after SIGTERM or SIGINT, once requests under way are done (10 s at most), or with an error when
// the supervisor is gone and cannot come back on this link.
#pragma once

#include "base/error.h"
#include "io/fd.h"

namespace havn::gateway {

Result<> run(io::Fd link);

}  // namespace havn::gateway
