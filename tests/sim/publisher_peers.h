// The two clients of the simulated broker: the gateway's publisher, which is the real JobSender with the
// calls of gateway/shell/amqp_publisher around it, and a worker that consumes over the real AMQP client.
//
// Both connect through `Dial`, which gives no end while the broker is down. The scheduler outlives them.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "amqp/client/channel.h"
#include "amqp/client/connection.h"
#include "gateway/core/job_sender.h"
#include "sim/network.h"
#include "sim/scheduler.h"

namespace havn::sim {

using Dial = std::function<End*()>;  // null: connection refused

class Publisher {
  public:
    Publisher(Scheduler& scheduler, Dial dial) : scheduler_(scheduler), dial_(std::move(dial)) {}
    ~Publisher() { hang_up(); }

    void publish(gateway::Job job, gateway::JobSender::Waiter& waiter);
    bool give_up(gateway::JobSender::Waiter& waiter, Time asked);
    void hang_up();  // and nothing more, for the end of a run
    gateway::JobSender& sender() { return sender_; }

  private:
    void look();
    void connect();
    void disconnect();
    void receive();
    void send();
    void arm();

    Scheduler& scheduler_;
    Dial dial_;
    End* end_ = nullptr;  // owned by the network
    gateway::JobSender sender_;
    Scheduler::Ticket timer_;
    bool over_ = false;
};

class Worker final : amqp::client::ConnectionHandler, amqp::client::ChannelHandler {
  public:
    Worker(Scheduler& scheduler, Dial dial, std::string queue);
    ~Worker() { hang_up(); }

    void hang_up();
    // How often each job was delivered, by message id, and whether its body was that of this id.
    const std::map<std::string, std::uint64_t>& executed() const { return executed_; }
    bool intact() const { return intact_; }

  private:
    void on_connected() override { channel_.open(); }
    void on_open() override;
    void on_delivery(const amqp::client::Delivery& delivery) override;
    void connect_later();
    void look();

    Scheduler& scheduler_;
    Dial dial_;
    std::string queue_;
    End* end_ = nullptr;  // owned by the network
    amqp::client::Connection connection_;
    amqp::client::Channel channel_;
    std::string unread_;
    std::map<std::string, std::uint64_t> executed_;
    std::uint64_t life_ = 0;  // counts connections
    bool intact_ = true, over_ = false;
};

// What a job of that id carries: anybody can check it.
std::string body_of(const std::string& id);

}  // namespace havn::sim
