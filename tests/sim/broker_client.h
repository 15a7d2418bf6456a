// AMQP clients of a simulation, frame by frame: they log in, lose their connection, come back, and report to
// the ledger what they were told.
//
//   publisher  confirms, a bounded number of messages unconfirmed; some bodies large
//   worker     a consumer that acknowledges, sometimes returns, and sometimes stops reading for a while
//   flooder    publishes what comes back to it, and hardly reads
//
// The host, the ledger and the scheduler belong to the run and outlive the clients.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "sim/broker_host.h"
#include "sim/broker_ledger.h"
#include "sim/network.h"
#include "sim/scheduler.h"
#include "wire/amqp/frame.h"

namespace havn::sim {

enum class Role : std::uint8_t { publisher, worker, flooder };

class BrokerClient {
  public:
    BrokerClient(Scheduler& scheduler, BrokerHost& host, BrokerLedger& ledger, Role role, std::string vhost);
    BrokerClient(const BrokerClient&) = delete;
    BrokerClient& operator=(const BrokerClient&) = delete;

    Role role() const { return role_; }
    void calm_down() { calm_ = true; }  // publishes no more; reads and acknowledges all
    void hang_up();                     // for good

  private:
    void connect();
    void disconnect();
    void on_edge(End::Edge edge);
    void read();
    void write();
    void on_frame(const amqp::Frame& frame);
    void on_method(amqp::MethodId id, std::string_view arguments);
    void on_whole_content();
    void answer(std::uint64_t tag, const std::string& name);
    void begin_work();
    void publish_some();
    void stop_reading_for_a_while();
    void in_this_connection(Duration delay, std::function<void()> action);
    template <class Method>
    void put(std::uint16_t channel, const Method& method);
    void put_content(std::string_view exchange, std::string_view key, std::string_view body, bool mandatory);

    Scheduler& scheduler_;
    BrokerHost& host_;
    BrokerLedger& ledger_;
    Role role_;
    std::string vhost_;
    End* end_ = nullptr;  // the network's; null: not connected
    std::uint64_t connections_ = 0;
    std::string in_, out_;
    bool reading_ = true, calm_ = false, gone_ = false;
    std::uint64_t sequence_ = 0;                        // of publishes on this connection
    std::map<std::uint64_t, std::string> unconfirmed_;  // names by sequence number
    std::uint64_t tag_ = 0;                             // of the content that is coming; 0: it was returned
    std::uint64_t content_bytes_ = 0;
    std::string content_;
};

}  // namespace havn::sim
