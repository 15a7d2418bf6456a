#include "sim/broker_host.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "broker/core/protocol/outbox.h"

namespace havn::sim {

using broker::DeliveryId;
using broker::Message;
using broker::QueueId;

// The log, with a ledger that sees what goes in and what comes back.
class BrokerHost::WatchedJournal final : public broker::Journal, public broker::RecoverySink {
  public:
    WatchedJournal(broker::Log& log, BrokerLedger& ledger) : log_(log), ledger_(ledger) {}

    void recover_into(broker::RecoverySink& sink) { sink_ = &sink; }
    // The settles so far stand before this position once flush_all() was called.
    void settles_are_written() { ledger_.settles_are_written(log_.position()); }

    Placement append(const Message& message, std::span<const QueueId> queues,
                     broker::WallMilliseconds published) override {
        const Placement placement = log_.append(message, queues, published);
        names_[placement.first] = BrokerLedger::name_of(message.body());
        EXPECT_EQ(queues.size(), 1u);
        return placement;
    }
    void settle(DeliveryId delivery, std::uint32_t body_bytes) override {
        ledger_.on_settle(names_.at(delivery));
        log_.settle(delivery, body_bytes);
    }
    void note_attempts(DeliveryId delivery, std::uint32_t attempts) override {
        log_.note_attempts(delivery, attempts);
    }
    void put(std::string_view key, std::string_view value) override { log_.put(key, value); }
    void erase(std::string_view key) override { log_.erase(key); }
    broker::LogPosition position() const override { return log_.position(); }
    Result<broker::MessagePtr> read(DeliveryId delivery, std::uint32_t offset) override {
        return log_.read(delivery, offset);
    }

    void on_topology(std::string_view key, std::string_view value) override {
        sink_->on_topology(key, value);
    }
    void on_topology_complete() override { sink_->on_topology_complete(); }
    bool on_delivery(QueueId queue, DeliveryId delivery, std::uint32_t offset, const Message::Parts& message,
                     const broker::History& history) override {
        names_[delivery] = BrokerLedger::name_of(message.body);
        ledger_.on_recovered(names_[delivery]);
        const bool known = sink_->on_delivery(queue, delivery, offset, message, history);
        EXPECT_TRUE(known) << names_[delivery] << " is of a queue that is gone";
        return known;
    }

  private:
    broker::Log& log_;
    BrokerLedger& ledger_;
    broker::RecoverySink* sink_ = nullptr;  // the broker's, during recovery
    std::map<DeliveryId, std::string> names_;
};

BrokerHost::BrokerHost(const World& world, broker::Config config)
    : world_(world), config_(std::move(config)) {
    start();
}

BrokerHost::~BrokerHost() {
    stop();
}

void BrokerHost::start() {
    broker::Log::Options options;
    options.segment_bytes = options.first_segment_bytes = 16'384;
    options.reserve_bytes = 4'096;
    options.prepare_spares = false;
    options.threaded = false;
    options.written = [] {};
    options.salt = [this] { return ++salt_; };
    world_.disk.reads_fail = world_.disk.opens_fail = 0;
    log_ = std::make_unique<broker::Log>(world_.disk.storage(), std::move(options));
    journal_ = std::make_unique<WatchedJournal>(*log_, world_.ledger);
    broker_ = std::make_unique<broker::Broker>(config_, *journal_, *this, world_.scheduler.now(),
                                               world_.scheduler.wall_now());
    journal_->recover_into(broker_->recovery());
    const Result<> recovered = log_->recover(*journal_);
    ASSERT_TRUE(recovered) << recovered.error().text();
    world_.ledger.on_recovery_complete();
    ASSERT_TRUE(broker_->apply(config_));
    in_this_life(seconds(1), [this] { tick(); });
    turn_soon();
}

void BrokerHost::stop() {
    ++life_;
    turn_is_due_ = write_is_due_ = false;
    deadline_ = Time::max();
    for (const std::shared_ptr<Socket>& socket : sockets_) socket->end->reset();
    sockets_.clear();
    broker_.reset();
    journal_.reset();
    log_.reset();
}

void BrokerHost::crash() {
    stop();
    world_.ledger.on_crash();
    std::mt19937 random(static_cast<unsigned>(world_.scheduler.random().next()));
    world_.disk.crash(random);
    start();
}

// What was planned in a life that has ended does not happen.
void BrokerHost::in_this_life(Duration delay, std::function<void()> action) {
    world_.scheduler.after(delay, [this, life = life_, action = std::move(action)] {
        if (life == life_) action();
    });
}

End* BrokerHost::connect() {
    auto [client, server] = world_.network.connect();
    auto socket = std::make_shared<Socket>();
    socket->end = server;
    socket->connection = std::make_unique<broker::Connection>(
        broker_->connections(), broker::Connection::Peer{"sim", true}, world_.scheduler.now());
    sockets_.push_back(socket);
    server->listen([this, life = life_, held = std::weak_ptr(socket)](End::Edge) {
        const std::shared_ptr<Socket> one = held.lock();
        if (life != life_ || !one || !one->connection) return;
        read(*one);
        turn_soon();
    });
    return client;
}

void BrokerHost::read(Socket& socket) {
    feed(socket);
    char piece[16'384];
    for (int pieces = 0; !socket.connection->paused() && !socket.connection->closed(); ++pieces) {
        if (pieces == 8) return turn_soon();  // then others have their turn
        const End::Moved moved = socket.end->receive(piece, sizeof piece);
        if (moved.status == End::Status::blocked) return;
        if (moved.status != End::Status::ok) {
            socket.hung_up = true;
            return;
        }
        socket.unread.append(piece, moved.size);
        feed(socket);
    }
}

void BrokerHost::feed(Socket& socket) {
    if (socket.unread.empty() || socket.connection->paused()) return;
    socket.unread.erase(0, socket.connection->on_bytes(socket.unread, world_.scheduler.now()));
    constexpr std::size_t one_input = 2u << 20;  // what one turn of deliveries and one frame may add
    EXPECT_LE(socket.connection->unread_bytes(), broker::Outbox::choked_bytes + one_input)
        << "output without a bound for a client that does not read";
}

void BrokerHost::send(Socket& socket) {
    while (!socket.hung_up) {
        if (socket.sent == socket.unsent.size()) {
            socket.unsent.clear();
            socket.sent = 0;
            socket.unsent.swap(socket.connection->output());
            if (socket.unsent.empty()) break;
        }
        const End::Moved moved = socket.end->send(std::string_view(socket.unsent).substr(socket.sent));
        if (moved.status == End::Status::failed) socket.hung_up = true;
        if (moved.status != End::Status::ok) break;
        socket.sent += moved.size;
        socket.connection->on_writable(socket.unsent.size() - socket.sent);
    }
    socket.connection->on_writable(socket.unsent.size() - socket.sent);
    const bool all_sent = socket.sent == socket.unsent.size() && !socket.connection->has_output();
    if (socket.connection->closed() && all_sent) socket.hung_up = true;
}

void BrokerHost::turn_soon() {
    if (std::exchange(turn_is_due_, true)) return;
    in_this_life({}, [this] { turn(); });
}

void BrokerHost::turn() {
    turn_is_due_ = false;
    const Time now = world_.scheduler.now();
    if (broker_->next_deadline() <= now) broker_->on_time(now, world_.scheduler.wall_now());
    broker::LogPosition waited_for = 0;
    const std::vector<std::shared_ptr<Socket>> all = sockets_;
    for (const std::shared_ptr<Socket>& socket : all) {
        read(*socket);
        send(*socket);
        if (socket->hung_up) {
            socket->connection->end(now);
            socket->end->close();
            std::erase(sockets_, socket);
            continue;
        }
        const broker::LogPosition position = socket->connection->waits_for();
        if (position == 0) continue;
        if (position <= log_->durable()) {
            socket->connection->on_durable(log_->durable());
            turn_soon();
        }
        waited_for = std::max(waited_for, position);
    }
    log_->flush(waited_for);
    write_soon();
    if (broker_->next_deadline() >= deadline_) return;
    deadline_ = broker_->next_deadline();
    in_this_life(deadline_ - now, [this] {
        deadline_ = Time::max();
        turn_soon();
    });
}

// The disk takes its time.
void BrokerHost::write_soon() {
    if (!log_->submitted() || std::exchange(write_is_due_, true)) return;
    const auto takes = microseconds(world_.scheduler.random().between(50, 20'000));
    in_this_life(takes, [this] {
        write_is_due_ = false;
        log_->write_submitted();
        on_written();
    });
}

void BrokerHost::on_written() {
    ASSERT_FALSE(log_->failure()) << log_->failure()->text();
    world_.ledger.on_durable(log_->durable());
    for (const std::shared_ptr<Socket>& socket : sockets_) {
        if (socket->connection->waits_for() != 0) socket->connection->on_durable(log_->durable());
    }
    write_soon();
    turn_soon();
}

void BrokerHost::tick() {
    log_->flush_all();
    journal_->settles_are_written();
    const Time now = world_.scheduler.now();
    for (const std::shared_ptr<Socket>& socket : sockets_) {
        if (socket->connection->paused()) socket->connection->excuse_silence(now);
        if (socket->connection->next_deadline() <= now) socket->connection->on_time(now);
    }
    write_soon();
    turn_soon();
    in_this_life(seconds(1), [this] { tick(); });
}

std::uint64_t BrokerHost::queued() const {
    std::uint64_t messages = 0;
    for (const broker::QueueStats& stats : broker_->queue_stats()) messages += stats.ready + stats.unacked;
    return messages;
}

}  // namespace havn::sim
