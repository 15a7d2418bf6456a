// Any bytes after a log-in: the broker answers, closes or waits, keeps its books, and never crashes.
#include "broker/core/broker.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "wire/amqp/methods.h"

using namespace havn;
using namespace havn::broker;

namespace {

class Keeper : public Journal {
  public:
    Placement append(const Message& message, std::span<const QueueId> queues, WallMilliseconds) override {
        const auto first = static_cast<std::uint32_t>(open_.size());
        messages_.push_back({std::string(message.exchange()), std::string(message.routing_key()),
                             std::string(message.properties()), std::string(message.body())});
        open_.insert(open_.end(), queues.size(), true);
        ++position_;
        return {{1, first}, static_cast<std::uint32_t>(messages_.size() - 1)};
    }
    void settle(DeliveryId delivery, std::uint32_t) override {
        if (!open_.at(delivery.ordinal)) std::abort();  // twice
        open_[delivery.ordinal] = false;
        ++position_;
    }
    void note_attempts(DeliveryId, std::uint32_t) override { ++position_; }
    void put(std::string_view, std::string_view) override { ++position_; }
    void erase(std::string_view) override { ++position_; }
    LogPosition position() const override { return position_; }
    Result<MessagePtr> read(DeliveryId, std::uint32_t offset) override {
        const auto& [exchange, key, properties, body] = messages_.at(offset);
        return MessagePtr::make({exchange, key, properties, body});
    }
    std::size_t open() const { return static_cast<std::size_t>(std::ranges::count(open_, true)); }

  private:
    std::vector<std::array<std::string, 4>> messages_;
    std::vector<bool> open_;
    LogPosition position_ = 1;
};

struct Deaf : Waker {
    void wake(Connection&) override {}
};

std::string log_in() {
    std::string bytes(amqp::protocol_header);
    amqp::append_method(
        bytes, 0, amqp::ConnectionStartOk{{}, "PLAIN", std::string_view("\0guest\0guest", 12), "en_US"});
    amqp::append_method(bytes, 0, amqp::ConnectionTuneOk{2'047, 131'072, 60});
    amqp::append_method(bytes, 0, amqp::ConnectionOpen{"/", "", false});
    amqp::append_method(bytes, 1, amqp::ChannelOpen{});
    return bytes;
}

// Feeds all of it, letting the log catch up whenever the connection waits for it.
void feed(Connection& connection, std::string_view in, Keeper& journal, Time now) {
    for (int round = 0; round < 10'000; ++round) {
        in.remove_prefix(connection.on_bytes(in, now));
        connection.output().clear();
        connection.on_writable();
        if (connection.waits_for() == 0) return;
        connection.on_durable(journal.position());
    }
    std::abort();  // neither eats nor waits
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::string greeting = log_in();
    Keeper journal;
    Deaf waker;
    Config config;
    config.memory_bytes_for_content = 64;  // most content is read back
    config.memory_bytes = 64u << 20;
    Time now{std::chrono::hours(1)};
    Broker broker(config, journal, waker, now, WallTime{});
    {
        Connection connection(broker.connections(), {"fuzz", true}, now);
        feed(connection, greeting + std::string(reinterpret_cast<const char*>(data), size), journal, now);
        now += seconds(3);
        broker.on_time(now, WallTime(seconds(3)));
        connection.on_time(now);
    }
    for (const QueueStats& stats : broker.queue_stats()) {
        if (stats.unacked != 0 || stats.consumers != 0) std::abort();
        broker.purge(stats.vhost, stats.name).value();
    }
    if (journal.open() != 0 || broker.content_bytes() != 0) std::abort();
    if (broker.memory_used() > broker.queue_stats().size() * 4'096) std::abort();  // all was given back
    return 0;
}
