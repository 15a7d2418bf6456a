// The Publisher over an AMQP 0-9-1 connection on the worker's own poller (RabbitMQ or Havn's broker).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "gateway/shell/publisher.h"
#include "gateway/shell/socket.h"
#include "gateway/shell/timer.h"
#include "wire/amqp/methods.h"

namespace havn::gateway {

class Worker;

class AmqpPublisher : public Publisher, public Pollable, public Timer {
  public:
    explicit AmqpPublisher(Worker& worker) : worker_(worker) {}
    ~AmqpPublisher() override;

    void set_broker(const BrokerAddress& broker) override;
    void publish(Job job, Waiter& waiter) override;
    void forget(Waiter& waiter) override;
    void end_of_turn() override;

    void on_ready(std::uint32_t events) override;
    void on_deadline() override;

  private:
    enum class State : std::uint8_t { idle, backing_off, connecting, handshaking, ready };
    struct Pending {
        Job job;
        Waiter* waiter;  // null: forgotten
    };
    using Tags = std::map<std::uint64_t, std::unique_ptr<Pending>>;

    void connect();
    void begin_handshake();
    void become_ready();
    void disconnect(const std::string& why);
    void receive();
    bool take_frame(const amqp::Frame& frame);
    bool on_method(amqp::MethodId id, std::string_view arguments);
    bool on_start();
    bool on_tune(std::string_view arguments);
    bool on_close(std::string_view arguments, bool of_channel);
    void on_confirm(std::uint64_t tag, bool multiple, Outcome outcome);
    void on_returned(std::string_view header_payload);
    void send_job(std::unique_ptr<Pending> pending);
    void arm_heartbeat();
    static void tell(Pending& pending, Outcome outcome);

    Worker& worker_;
    BrokerAddress broker_;
    Socket socket_;
    State state_ = State::idle;
    std::string in_, out_;
    std::size_t out_sent_ = 0;
    std::uint32_t frame_max_ = 131072;
    std::uint16_t heartbeat_ = 0;  // seconds; 0: none
    Time last_received_{};
    unsigned failures_ = 0;          // in a row: the back-off
    bool expecting_return_ = false;  // Basic.Return came, its header follows
    std::uint64_t next_tag_ = 1;
    std::deque<std::unique_ptr<Pending>> unsent_;
    Tags sent_;  // and not yet confirmed, by delivery tag
};

}  // namespace havn::gateway
