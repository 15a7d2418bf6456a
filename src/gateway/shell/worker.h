// One thread of the gateway: its loop, and everything the loop serves. Threads share nothing on the path of a
// request.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/core/cluster/clusters.h"
#include "gateway/core/http1/connections.h"
#include "gateway/core/http1/http1_environment.h"
#include "gateway/core/publisher.h"
#include "gateway/core/settings.h"
#include "gateway/core/turn/log_buffer.h"
#include "gateway/core/turn/turn.h"
#include "gateway/shell/acceptor.h"
#include "gateway/shell/alarm_log.h"
#include "gateway/shell/mailbox.h"
#include "gateway/shell/poller.h"
#include "gateway/shell/shared.h"
#include "gateway/shell/socket_connector.h"

namespace havn::gateway {

class Worker final : private Clusters::Observer {
  public:
    using Drained = std::function<void(const std::string& address, std::uint64_t removed_by)>;

    // `shared`, `metrics` and `log` outlive it; `drained` is called on the worker's thread.
    Worker(Shared& shared, Metrics& metrics, LineSink& log, Drained drained);
    ~Worker();

    // Serves until stop() and the last client is gone.
    void run();

    // One round of run(): waits for events, at most for `wait_max`, and does what they allow.
    void turn(milliseconds wait_max = Deadlines::never);

    // Safe from any thread: runs `job` on the worker's.
    void post(std::function<void()> job) { mailbox_.post(std::move(job)); }

    // The rest is for the worker's thread.
    void set_config(std::shared_ptr<const Config> config);
    void set_listeners(std::vector<Listener::Source> sources) { acceptor_.set_listeners(std::move(sources)); }
    void set_endpoints(const Clusters::Table& table, std::uint64_t version) {
        clusters_.set_endpoints(table, version);
    }
    void stop();  // takes no new connection, finishes what is under way
    void stop_now() { stopped_ = true; }
    Acceptor& acceptor() { return acceptor_; }

  private:
    void on_drained(const std::string& address, std::uint64_t removed_by) override {
        drained_(address, removed_by);
    }

    Drained drained_;
    MemoryShare memory_;
    Poller poller_;
    Turn turn_;
    AlarmLog alarms_;
    LogBuffer log_;
    SocketConnector connector_;
    Clusters clusters_;
    Settings settings_;
    std::unique_ptr<Publisher> publisher_;
    Http1Environment environment_;
    Connections connections_;
    Acceptor acceptor_;
    Mailbox mailbox_;
    bool more_to_send_ = false;
    bool stopped_ = false;
};

}  // namespace havn::gateway
