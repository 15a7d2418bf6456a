// The Publisher over a socket on the worker's own poller: connects, connects again, and moves bytes between
// the socket and a JobSender, which knows the protocol and the jobs.
#pragma once

#include <string>

#include "gateway/core/publisher.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/shell/socket.h"

namespace havn::gateway {

class Worker;

class AmqpPublisher : public Publisher, public Pollable, public Timer {
  public:
    explicit AmqpPublisher(Worker& worker) : worker_(worker) {}
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
    enum class State : std::uint8_t { idle, backing_off, connecting, handshaking, ready };

    void connect();
    void connected();
    void disconnect(const std::string& why);
    void receive();
    void note_progress();
    void arm_heartbeat();
    bool peer_has_unread() const;

    Worker& worker_;
    BrokerAddress broker_;
    Socket socket_;
    State state_ = State::idle;
    JobSender sender_;
    Time last_received_{};
    unsigned failures_ = 0;  // in a row: the back-off
    bool said_blocked_ = false;
};

}  // namespace havn::gateway
