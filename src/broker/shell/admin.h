// HTTP + JSON on `run/broker.sock`, for control and for `curl --unix-socket`:
//
//   PUT  /config              a whole broker.json           → {"revision"}, or a conflict that names
//                             the queues in the way of the manifest's; the rest is in force
//   GET  /queues              → [{"vhost","name","ready","unacked","consumers","bytes","durable"}…]
//   POST /queues/NAME/purge   → {"purged"}; of virtual host "/"; else /vhosts/VHOST/queues/NAME/purge
//   GET  /status              → {"revision","connections","connections_max","queues","segments","memory",
//                               "memory_max","log_bytes","live_bytes","disk_free_bytes","held_back","reason",
//                               "read_failure","parked_queues"}; held_back: publishers wait, for this reason;
//                               if the disk, also "held_back_cause" and "held_back_since" (seconds since
//                               1970). read_failure: why messages cannot be read back just now, else empty;
//                               parked_queues: those this version does not understand, kept and not served
//   GET  /metrics             → Prometheus text
#pragma once

#include <string>

#include "broker/shell/server.h"
#include "rpc/server.h"

namespace havn::broker {

std::string metrics_text(Server& server);

class Admin {
  public:
    Admin(io::Loop& loop, Server& server);
    Result<> listen(const std::string& path) { return rpc_.listen_as_part(path); }

  private:
    using Task = io::Task<rpc::Response>;
    Task put_config(rpc::Request request);
    Task get_queues(rpc::Request request);
    Task purge(rpc::Request request);
    Task get_status(rpc::Request request);
    Task get_metrics(rpc::Request request);

    Server& server_;
    rpc::Server rpc_;
};

}  // namespace havn::broker
