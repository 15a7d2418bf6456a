// The publisher of one thread: a socket around core's JobSender, which knows the protocol, the jobs, and when
// to connect again.
//
// Connects when the first job comes, and stays connected. The worker owns it and outlives it.
#pragma once

#include <string>

#include "gateway/core/publisher.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/core/turn/turn_clock.h"
#include "gateway/shell/descriptors.h"
#include "gateway/shell/poller.h"
#include "gateway/shell/socket.h"

namespace havn::gateway {

class AmqpPublisher : public Publisher, public Pollable, public Timer {
  public:
    // What it uses; all of it outlives it.
    struct Environment {
        TurnClock& clock;
        Deadlines& deadlines;
        Poller& poller;
        Descriptors& descriptors;
    };

    explicit AmqpPublisher(const Environment& environment) : environment_(environment) {}
    ~AmqpPublisher() override;

    void set_broker(const BrokerAddress& broker) override;
    void publish(Job job, Waiter& waiter) override;
    void forget(Waiter& waiter) override;
    bool give_up(Waiter& waiter) override;
    bool end_of_turn() override;
    std::string_view blocked_reason() const override;

    void on_ready(std::uint32_t events) override;
    void on_deadline() override;

  private:
    void connect();
    void connected();
    void disconnect(std::string_view why);
    void receive();
    void log_progress(unsigned failures);
    void arm();
    bool peer_has_unread() const;

    Environment environment_;
    BrokerAddress broker_;
    Socket socket_;
    bool connecting_ = false;
    Time connect_by_{};  // while connecting
    Time armed_ = Time::max();
    JobSender sender_;
    bool logged_blocked_ = false;
};

}  // namespace havn::gateway
