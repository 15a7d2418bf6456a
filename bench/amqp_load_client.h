// The socket around amqp/client for load: one connection to a broker on this host, one channel, as guest.
//
// It waits where the owner says so and is no judge of a broker's correctness: whatever ends the connection or
// the channel ends the program with a message. The owner says what is done with confirms and deliveries.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "amqp/client/channel.h"
#include "amqp/client/connection.h"

namespace havn::bench {

class LoadClient : amqp::client::ConnectionHandler, amqp::client::ChannelHandler {
  public:
    static constexpr std::size_t unsent_bytes_max = 256u << 10;  // from here on nothing is published

    // Connects to 127.0.0.1:port and opens the channel, with at most so many publishes from the oldest
    // unconfirmed one to the newest.
    LoadClient(std::uint16_t port, std::uint64_t unconfirmed_max);
    LoadClient(const LoadClient&) = delete;
    LoadClient& operator=(const LoadClient&) = delete;

    // Sends a request and waits for its reply; for set-up and the end.
    template <class Method>
    void call(const Method& method) {
        wait_for(channel_.request(method));
    }

    amqp::client::Channel& channel() { return channel_; }
    Time received_at() const { return connection_.last_received(); }
    std::size_t unsent() const { return connection_.pieces().size(); }

    // Sends what there is to send, waits up to `milliseconds` (-1: for ever) for bytes or for room to write,
    // then takes what came.
    void turn(int milliseconds);

  protected:
    ~LoadClient();

  private:
    void on_reply(const amqp::client::Reply& reply) override { replied_ = reply.request; }
    void on_closed(const Error& why) override;
    void wait_for(std::uint32_t request);
    void flush();
    void receive();
    template <class Condition>
    void turn_until(Condition condition);

    int fd_;
    amqp::client::Connection connection_;
    amqp::client::Channel channel_;
    std::uint32_t replied_ = 0;
    std::vector<char> in_;
    std::size_t filled_ = 0;  // of in_: not eaten yet
};

[[noreturn]] void die(std::string_view message);

}  // namespace havn::bench
