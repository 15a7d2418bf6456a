#include "sim/publisher_broker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "wire/amqp/properties.h"

namespace havn::sim {

using broker::DeliveryId;
using broker::LogPosition;
using broker::Message;
using broker::MessagePtr;
using broker::QueueId;

broker::Journal::Placement LateJournal::append(const Message& message, std::span<const QueueId> queues,
                                               broker::WallMilliseconds published) {
    const std::uint32_t first = next_ordinal_;
    next_ordinal_ += static_cast<std::uint32_t>(queues.size());
    entries_.push_back({Entry::Kind::message,
                        {std::string(message.exchange()), std::string(message.routing_key()),
                         std::string(message.properties()), std::string(message.body())},
                        {queues.begin(), queues.end()},
                        first,
                        published});
    return {{1, first}, 0};
}

void LateJournal::settle(DeliveryId delivery, std::uint32_t) {
    entries_.push_back({.kind = Entry::Kind::settled, .ordinal = delivery.ordinal});
}

void LateJournal::put(std::string_view key, std::string_view value) {
    entries_.push_back({.kind = Entry::Kind::put, .texts = {std::string(key), std::string(value)}});
}

void LateJournal::erase(std::string_view key) {
    entries_.push_back({.kind = Entry::Kind::erased, .texts = {std::string(key)}});
}

Message::Parts LateJournal::parts(const Entry& entry) {
    return {entry.texts[0], entry.texts[1], entry.texts[2], entry.texts[3]};
}

Result<MessagePtr> LateJournal::read(DeliveryId delivery, std::uint32_t) {
    for (const Entry& entry : entries_) {
        const bool is_message = entry.kind == Entry::Kind::message;
        if (is_message && delivery.ordinal - entry.ordinal < entry.queues.size()) {
            return MessagePtr::make(parts(entry));
        }
    }
    return fail(Error::Kind::corrupt, "no such record");
}

bool LateJournal::keeps(std::string_view message_id) const {
    return std::ranges::any_of(std::span(entries_).first(durable_), [&](const Entry& entry) {
        if (entry.kind != Entry::Kind::message) return false;
        const std::optional<amqp::Properties> properties = amqp::parse_properties(parts(entry).properties);
        return properties && properties->message_id == message_id;
    });
}

void LateJournal::crash(Random& random) {
    entries_.resize(random.between(durable_, entries_.size()));
    durable_ = entries_.size();
}

void LateJournal::forget_after(LogPosition position) {
    entries_.resize(position);
}

void LateJournal::recover_into(broker::RecoverySink& sink) {
    std::map<std::string, std::string> topology;
    std::set<std::uint32_t> settled;
    for (const Entry& entry : entries_) {
        if (entry.kind == Entry::Kind::put) topology[entry.texts[0]] = entry.texts[1];
        if (entry.kind == Entry::Kind::erased) topology.erase(entry.texts[0]);
        if (entry.kind == Entry::Kind::settled) settled.insert(entry.ordinal);
    }
    for (const auto& [key, value] : topology) sink.on_topology(key, value);
    sink.on_topology_complete();
    const std::size_t count = entries_.size();
    for (std::size_t at = 0; at < count; ++at) {
        const Entry entry = entries_[at];  // the sink may write while it recovers
        if (entry.kind != Entry::Kind::message) continue;
        for (std::uint32_t i = 0; i < entry.queues.size(); ++i) {
            const DeliveryId delivery{1, entry.ordinal + i};
            if (settled.contains(delivery.ordinal)) continue;
            if (!sink.on_delivery(entry.queues[i], delivery, 0, parts(entry), {entry.published, 0})) {
                settle(delivery, 0);
            }
        }
    }
}

BrokerProcess::Client::Client(BrokerProcess& process, End& an_end)
    : end(an_end),
      connection(process.broker_->connections(), {.address = "sim", .loopback = true, .gateway = true},
                 process.scheduler_.now()) {}

BrokerProcess::BrokerProcess(Scheduler& scheduler, const broker::Config& config)
    : scheduler_(scheduler), config_(config) {}

BrokerProcess::~BrokerProcess() {
    stop();
}

void BrokerProcess::start() {
    ++life_;
    flushing_ = false;
    broker_ =
        std::make_unique<broker::Broker>(config_, journal_, *this, scheduler_.now(), scheduler_.wall_now());
    journal_.recover_into(broker_->recovery());
    EXPECT_TRUE(broker_->apply(config_));
    if (alarm_) broker_->set_alarm("low on disk");
    end_turn();
    tick();
}

void BrokerProcess::crash() {
    if (!runs()) return;
    journal_.crash(scheduler_.random());
    reset_connections();
}

void BrokerProcess::stop() {
    if (!runs()) return;
    journal_.make_durable(journal_.position());
    reset_connections();
}

// The process is gone: what its connections still do to their queues is not written down any more.
void BrokerProcess::reset_connections() {
    ++life_;
    const LogPosition written = journal_.position();
    looking_ = true;
    for (Client& client : clients_) {
        client.end.reset();
        client.end.close();
        client.connection.end(scheduler_.now());
    }
    clients_.clear();
    broker_.reset();
    looking_ = false;
    journal_.forget_after(written);
}

void BrokerProcess::accept(End& end) {
    Client& client = clients_.emplace_back(*this, end);
    end.listen([this, &client, life = life_](End::Edge) {
        if (life == life_) look(client);
    });
    look(client);
}

void BrokerProcess::set_alarm(bool raised) {
    alarm_ = raised;
    if (!runs()) return;
    broker_->set_alarm(raised ? "low on disk" : "");
    look_at_all();
}

void BrokerProcess::hold_disk(bool held) {
    disk_held_ = held;
    if (runs() && !held) end_turn();
}

void BrokerProcess::hold_reads(bool held) {
    reads_held_ = held;
    if (runs() && !held) look_at_all();
}

void BrokerProcess::wake(broker::Connection&) {
    scheduler_.after(Duration::zero(), [this, life = life_] {
        if (life == life_) look_at_all();
    });
}

void BrokerProcess::look_at_all() {
    for (auto client = clients_.begin(); client != clients_.end();) look(*client++);
}

// Everything that can go on with this client does; then what it wrote is flushed.
void BrokerProcess::look(Client& client) {
    if (looking_) return;
    looking_ = true;
    for (bool moved = true; moved && !client.gone;) {
        moved = feed(client);
        moved = flush(client) || moved;
    }
    const bool over = client.gone || (client.connection.closed() && client.unsent.empty());
    if (over) {
        client.connection.end(scheduler_.now());
        client.end.close();
    }
    looking_ = false;
    if (over) clients_.remove_if([&](const Client& one) { return &one == &client; });
    end_turn();
}

bool BrokerProcess::feed(Client& client) {
    broker::Connection& connection = client.connection;
    const LogPosition wanted = connection.waits_for();
    if (wanted != 0 && wanted <= journal_.durable()) connection.on_durable(journal_.durable());
    if (reads_held_ || connection.paused() || connection.closed()) return false;
    char buffer[4'096];
    const End::Moved got = client.end.receive(buffer, sizeof buffer);
    if (got.status == End::Status::ok) client.unread.append(buffer, got.size);
    if (got.status == End::Status::failed || got.status == End::Status::closed) client.gone = true;
    const std::size_t eaten = connection.on_bytes(client.unread, scheduler_.now());
    client.unread.erase(0, eaten);
    return got.status == End::Status::ok || eaten > 0;
}

bool BrokerProcess::flush(Client& client) {
    std::string& output = client.connection.output();
    bool moved = !output.empty();
    client.unsent += output;
    output.clear();
    while (!client.unsent.empty()) {
        const End::Moved sent = client.end.send(client.unsent);
        if (sent.status == End::Status::failed) client.gone = true;
        if (sent.status != End::Status::ok) break;
        client.unsent.erase(0, sent.size);
        moved = true;
    }
    if (!client.connection.closed()) client.connection.on_writable(client.unsent.size());
    return moved;
}

// One flush at a time, as late as the seed says.
void BrokerProcess::end_turn() {
    if (flushing_ || disk_held_ || !runs() || journal_.position() <= journal_.durable()) return;
    flushing_ = true;
    const LogPosition position = journal_.position();
    scheduler_.within(microseconds(50), milliseconds(30), [this, position, life = life_] {
        if (life != life_) return;
        flushing_ = false;
        if (disk_held_) return;
        journal_.make_durable(position);
        release();
    });
}

void BrokerProcess::release() {
    look_at_all();
    end_turn();
}

void BrokerProcess::tick() {
    scheduler_.after(milliseconds(200), [this, life = life_] {
        if (life != life_) return;
        broker_->on_time(scheduler_.now(), scheduler_.wall_now());
        for (Client& client : clients_) {
            if (client.connection.next_deadline() <= scheduler_.now()) {
                client.connection.on_time(scheduler_.now());
            }
        }
        look_at_all();
        tick();
    });
}

}  // namespace havn::sim
