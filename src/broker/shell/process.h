// The broker as a process: started in the data folder by the supervisor, alone with its log in `queue/`.
//
// Reads `applied/parts/broker.json` (the defaults of Config if there is none), recovers the log, says
// "ready" over the link, accepts AMQP on the sockets that come over the link, and answers HTTP + JSON on
// `run/broker.sock`. SIGTERM, or the end of the link, is an orderly stop: connections are closed with 320,
// the log is synced.
#pragma once

#include "base/error.h"
#include "io/fd.h"

namespace havn::broker {

// Returns after an orderly stop, or with what makes going on impossible: the log cannot be opened, or a write
// or sync of it failed. The process is to end then; nothing was confirmed that is not on disk.
Result<> run_broker(io::Fd link);

}  // namespace havn::broker
