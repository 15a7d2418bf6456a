// For tests of the broker's core: a journal in memory that can be "killed" and recovered from, a clock moved
// by hand, and a client that speaks frames. A client's calls throw when the answer is not the one expected,
// so tests read as a story.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/broker.h"
#include "broker/core/connection.h"
#include "broker/core/message/journal.h"
#include "wire/amqp/frame.h"
#include "wire/amqp/methods.h"
#include "wire/amqp/properties.h"
#include "wire/amqp/table.h"

namespace havn::broker::testing {

class MemoryJournal : public Journal {
  public:
    Placement append(const Message& message, std::span<const QueueId> queues,
                     WallMilliseconds published) override {
        const auto offset = static_cast<std::uint32_t>(records_.size());
        const auto first = static_cast<std::uint32_t>(deliveries_.size());
        records_.push_back({std::string(message.exchange()), std::string(message.routing_key()),
                            std::string(message.properties()), std::string(message.body())});
        for (const QueueId queue : queues) deliveries_.push_back({queue, offset, true, {published, 0}});
        position_ += message.bytes();
        return {{1, first}, offset};
    }
    void settle(DeliveryId delivery, std::uint32_t body_bytes) override {
        if (records_.at(deliveries_.at(delivery.ordinal).offset).body.size() != body_bytes) {
            throw std::logic_error("settled with another size");
        }
        if (!deliveries_.at(delivery.ordinal).open) throw std::logic_error("settled twice");
        deliveries_[delivery.ordinal].open = false;
        position_ += 12;
    }
    void note_attempts(DeliveryId delivery, std::uint32_t attempts) override {
        deliveries_.at(delivery.ordinal).history.attempts = attempts;
    }
    void put(std::string_view key, std::string_view value) override {
        topology_[std::string(key)] = value;
        position_ += key.size() + value.size();
    }
    void erase(std::string_view key) override {
        topology_.erase(std::string(key));
        position_ += key.size();
    }
    LogPosition position() const override { return position_; }
    Result<MessagePtr> read(DeliveryId delivery, std::uint32_t offset) override {
        ++reads;
        if (unreadable.contains(delivery.ordinal)) return fail(Error::Kind::corrupt, "spoilt");
        if (reads_fail) return fail(Error::Kind::unavailable, "no descriptor is left");
        const Record& record = records_.at(offset);
        return MessagePtr::make({record.exchange, record.key, record.properties, record.body});
    }

    void recover_into(RecoverySink& sink) {
        for (const auto& [key, value] : topology_) sink.on_topology(key, value);
        sink.on_topology_complete();
        for (std::uint32_t i = 0; i < deliveries_.size(); ++i) {
            Delivery& delivery = deliveries_[i];
            if (!delivery.open) continue;
            const Record& record = records_[delivery.offset];
            delivery.open = sink.on_delivery(delivery.queue, {1, i}, delivery.offset,
                                             {record.exchange, record.key, record.properties, record.body},
                                             delivery.history);
        }
    }
    std::size_t open_deliveries() const {
        return static_cast<std::size_t>(std::ranges::count_if(deliveries_, &Delivery::open));
    }
    const std::map<std::string, std::string>& topology() const { return topology_; }

    std::set<std::uint32_t> unreadable;  // ordinals
    bool reads_fail = false;             // nothing can be read for the moment
    std::size_t reads = 0;

  private:
    struct Record {
        std::string exchange, key, properties, body;
    };
    struct Delivery {
        QueueId queue;
        std::uint32_t offset;
        bool open;
        History history;
    };
    std::vector<Record> records_;
    std::vector<Delivery> deliveries_;
    std::map<std::string, std::string> topology_;
    LogPosition position_ = 1;
};

class World : public Waker {
  public:
    explicit World(Config settings = {}) : config(std::move(settings)) { start(); }

    // What kill -9 leaves: the journal. Clients must be gone.
    void restart() {
        broker.reset();
        start();
    }
    void advance(milliseconds step) {
        now += step;
        broker->on_time(now, wall());
    }
    WallTime wall() const { return WallTime(now.time_since_epoch()) + std::chrono::hours(24 * 365 * 50); }
    void wake(Connection& session) override { woken.insert(&session); }
    QueueStats stats(std::string_view queue) const {
        for (QueueStats& stats : broker->queue_stats()) {
            if (stats.name == queue) return stats;
        }
        throw std::runtime_error("no queue " + std::string(queue));
    }
    bool has_queue(std::string_view queue) const {
        return std::ranges::count(broker->queue_stats(), queue, &QueueStats::name) > 0;
    }

    Config config;
    MemoryJournal journal;
    Time now{std::chrono::hours(1)};
    bool disk_is_stuck = false;  // nothing becomes durable
    std::set<Connection*> woken;
    std::unique_ptr<Broker> broker;

  private:
    void start() {
        broker = std::make_unique<Broker>(config, journal, *this, now, wall());
        journal.recover_into(broker->recovery());
        broker->apply(config);
    }
};

struct Delivered {
    std::uint64_t tag = 0;
    bool redelivered = false;
    std::string consumer{}, exchange{}, key{}, body{}, raw_properties{};
    std::uint32_t remaining = 0;   // of get-ok
    std::uint16_t reply_code = 0;  // of return

    amqp::Properties properties() const { return *amqp::parse_properties(raw_properties); }
    amqp::Table headers() const { return properties().headers; }
};

inline amqp::Properties persistent() {
    amqp::Properties properties;
    properties.flags = amqp::Properties::has_delivery_mode;
    properties.delivery_mode = 2;
    return properties;
}
inline amqp::Properties transient() {
    return {};
}
inline amqp::Properties expiring(std::string_view text) {
    amqp::Properties properties = persistent();
    properties.flags |= amqp::Properties::has_expiration;
    properties.expiration = text;
    return properties;
}

class Client {
  public:
    struct Options {
        std::string user = "guest", password = "guest", mechanism = "PLAIN", vhost = "/";
        bool loopback = true, capabilities = true, gateway = false;
        std::uint16_t channel_max = 2'047, heartbeat = 60;
        std::uint32_t frame_max = 131'072;
        bool stop_at_start = false;  // header sent, start read, nothing more
        bool stop_at_tune = false;
    };

    explicit Client(World& world) : Client(world, Options{}) {}
    Client(World& world, Options options)
        : world_(world),
          connection_(world.broker->connections(), {"127.0.0.1:1", options.loopback, options.gateway},
                      world.now) {
        raw(amqp::protocol_header);
        expect<amqp::ConnectionStart>(0);
        if (options.stop_at_start) return;
        start_ok(options);
        if (options.stop_at_tune) return;
        expect<amqp::ConnectionTune>(0);
        send(0, amqp::ConnectionTuneOk{options.channel_max, options.frame_max, options.heartbeat});
        send(0, amqp::ConnectionOpen{std::string_view(options.vhost), "", false});
        expect<amqp::ConnectionOpenOk>(0);
        open(1);
    }

    void start_ok(const Options& options) {
        amqp::TableWriter capabilities, properties;
        for (const char* name :
             {"authentication_failure_close", "consumer_cancel_notify", "connection.blocked"}) {
            capabilities.boolean(name, options.capabilities);
        }
        properties.table("capabilities", capabilities.table());
        std::string response;
        if (options.mechanism == "AMQPLAIN") {
            response =
                amqp::TableWriter().text("LOGIN", options.user).text("PASSWORD", options.password).bytes();
        } else {
            response = std::string(1, '\0') + options.user + std::string(1, '\0') + options.password;
        }
        send(0, amqp::ConnectionStartOk{properties.table(), std::string_view(options.mechanism),
                                        std::string_view(response), "en_US"});
    }
    void open(std::uint16_t channel) {
        send(channel, amqp::ChannelOpen{});
        expect<amqp::ChannelOpenOk>(channel);
    }

    // Bytes as they are; the session sees them at once.
    void raw(std::string_view bytes) {
        unread_.append(bytes);
        pump();
    }
    template <class Method>
    void send(std::uint16_t channel, const Method& method) {
        std::string frame;
        amqp::append_method(frame, channel, method);
        raw(frame);
    }
    template <class Answer, class Method>
    Answer ask(std::uint16_t channel, const Method& method) {
        send(channel, method);
        return expect<Answer>(channel);
    }
    static std::string publish_frames(std::uint16_t channel, std::string_view exchange, std::string_view key,
                                      std::string_view body, const amqp::Properties& properties = transient(),
                                      bool mandatory = false, std::uint32_t frame_max = 131'072) {
        std::string frames, encoded;
        amqp::append_method(frames, channel, amqp::BasicPublish{0, exchange, key, mandatory, false});
        amqp::append_properties(encoded, properties);
        const std::size_t size = amqp::content_size(encoded.size(), body.size(), frame_max);
        amqp::store_content(amqp::extend(frames, size), channel, encoded, body, frame_max);
        return frames;
    }
    void publish(std::string_view exchange, std::string_view key, std::string_view body,
                 const amqp::Properties& properties = transient(), bool mandatory = false,
                 std::uint16_t channel = 1) {
        raw(publish_frames(channel, exchange, key, body, properties, mandatory));
    }

    // The next frame must be this method. Views in it live until the next call.
    template <class Method>
    Method expect(std::uint16_t channel) {
        const amqp::Frame frame = next();
        const auto id = frame.type == 1 ? amqp::load<amqp::MethodId>(frame.payload.data()) : 0;
        if (frame.channel != channel || id != Method::id) {
            throw std::runtime_error(fmt::format("expected {} on channel {}, found {} on channel {}: {}",
                                                 Method::title, channel, amqp::method_name(id), frame.channel,
                                                 frame.payload));
        }
        return amqp::decode<Method>(frame.payload.substr(4)).value();
    }
    Delivered expect_delivery(std::uint16_t channel = 1) {
        const auto method = expect<amqp::BasicDeliver>(channel);
        Delivered delivered{.tag = method.delivery_tag,
                            .redelivered = method.redelivered,
                            .consumer = std::string(method.consumer_tag),
                            .exchange = std::string(method.exchange),
                            .key = std::string(method.routing_key)};
        return content(std::move(delivered), channel);
    }
    std::string expect_body(std::uint16_t channel = 1) { return expect_delivery(channel).body; }
    Delivered expect_return(std::uint16_t channel = 1) {
        const auto method = expect<amqp::BasicReturn>(channel);
        Delivered returned{.exchange = std::string(method.exchange),
                           .key = std::string(method.routing_key),
                           .reply_code = method.reply_code};
        return content(std::move(returned), channel);
    }
    std::optional<Delivered> get(std::string_view queue, bool no_ack = false, std::uint16_t channel = 1) {
        send(channel, amqp::BasicGet{0, queue, no_ack});
        const std::uint16_t here = channel;
        if (peek() == amqp::BasicGetEmpty::id) return expect<amqp::BasicGetEmpty>(here), std::nullopt;
        const auto method = expect<amqp::BasicGetOk>(channel);
        Delivered delivered{.tag = method.delivery_tag,
                            .redelivered = method.redelivered,
                            .exchange = std::string(method.exchange),
                            .key = std::string(method.routing_key),
                            .remaining = method.message_count};
        return content(std::move(delivered), channel);
    }
    std::vector<std::string> drain(std::string_view queue) {
        std::vector<std::string> bodies;
        while (auto message = get(queue, true)) bodies.push_back(message->body);
        return bodies;
    }

    // "404 NOT_FOUND - no queue …"
    std::string expect_channel_close(std::uint16_t channel = 1) {
        const auto close = expect<amqp::ChannelClose>(channel);
        std::string text = fmt::format("{} {}", close.reply_code, std::string_view(close.reply_text));
        send(channel, amqp::ChannelCloseOk{});
        return text;
    }
    std::string expect_connection_close() {
        const auto close = expect<amqp::ConnectionClose>(0);
        return fmt::format("{} {}", close.reply_code, std::string_view(close.reply_text));
    }

    // Queues and exchanges, in one line each.
    amqp::QueueDeclareOk declare(std::string_view queue, amqp::Table arguments = {}, bool durable = true) {
        return ask<amqp::QueueDeclareOk>(1, queue_declare(queue, arguments, durable));
    }
    static amqp::QueueDeclare queue_declare(std::string_view queue, amqp::Table arguments = {},
                                            bool durable = true) {
        amqp::QueueDeclare method;
        method.queue = queue;
        method.durable = durable;
        method.arguments = arguments;
        return method;
    }
    static amqp::ExchangeDeclare exchange_declare(std::string_view name, std::string_view type) {
        amqp::ExchangeDeclare method;
        method.exchange = name;
        method.type = type;
        method.durable = true;
        return method;
    }
    void declare_exchange(std::string_view name, std::string_view type) {
        ask<amqp::ExchangeDeclareOk>(1, exchange_declare(name, type));
    }
    void bind(std::string_view queue, std::string_view exchange, std::string_view key,
              amqp::Table arguments = {}) {
        ask<amqp::QueueBindOk>(1, amqp::QueueBind{0, queue, exchange, key, false, arguments});
    }
    void bind_exchange(std::string_view destination, std::string_view source, std::string_view key) {
        ask<amqp::ExchangeBindOk>(1, amqp::ExchangeBind{0, destination, source, key, false, {}});
    }
    std::string consume(std::string_view queue, std::string_view tag = "c", bool no_ack = false,
                        std::uint16_t channel = 1, amqp::Table arguments = {}) {
        send(channel, amqp::BasicConsume{0, queue, tag, false, no_ack, false, false, arguments});
        return std::string(expect<amqp::BasicConsumeOk>(channel).consumer_tag);
    }
    void qos(std::uint16_t count, bool global = false, std::uint16_t channel = 1) {
        ask<amqp::BasicQosOk>(channel, amqp::BasicQos{0, count, global});
    }
    void ack(std::uint64_t tag, bool multiple = false, std::uint16_t channel = 1) {
        send(channel, amqp::BasicAck{tag, multiple});
    }
    void nack(std::uint64_t tag, bool requeue, bool multiple = false, std::uint16_t channel = 1) {
        send(channel, amqp::BasicNack{tag, multiple, requeue});
    }
    void confirm_select(std::uint16_t channel = 1) {
        ask<amqp::ConfirmSelectOk>(channel, amqp::ConfirmSelect{});
    }

    bool silent() {
        pump();
        return in_.size() == at_;
    }
    bool hears_heartbeat() {
        const amqp::Frame frame = next();
        return frame.type == 8 && frame.channel == 0;
    }
    bool closed() const { return connection_.closed(); }
    void vanish() { connection_.end(world_.now); }
    Connection& connection() { return connection_; }
    std::string take_raw() {
        pump();
        std::string taken = in_.substr(at_);
        in_.clear(), at_ = 0;
        return taken;
    }
    void let_disk_catch_up() {
        connection_.on_durable(world_.journal.position());
        pump();
    }

  private:
    void pump() {
        while (true) {
            const std::size_t eaten = connection_.on_bytes(unread_, world_.now);
            unread_.erase(0, eaten);
            const bool waits = connection_.waits_for() != 0 && !world_.disk_is_stuck;
            if (waits) connection_.on_durable(world_.journal.position());
            const bool sent = !connection_.output().empty();
            in_ += connection_.output();
            connection_.output().clear();
            if (sent) connection_.on_writable();
            if (!waits && !sent && connection_.output().empty()) return;
        }
    }
    amqp::Frame next() {
        pump();
        const auto parsed = amqp::parse_frame(std::string_view(in_).substr(at_), 0);
        if (parsed.status != amqp::Parse::complete) {
            throw std::runtime_error("expected a frame, found silence");
        }
        at_ += parsed.eaten;
        return parsed.frame;
    }
    amqp::MethodId peek() {
        pump();
        const auto parsed = amqp::parse_frame(std::string_view(in_).substr(at_), 0);
        return parsed.frame.type == 1 ? amqp::load<amqp::MethodId>(parsed.frame.payload.data()) : 0;
    }
    Delivered content(Delivered delivered, std::uint16_t channel) {
        const amqp::Frame header = next();
        if (header.type != 2 || header.channel != channel) {
            throw std::runtime_error("expected a content header");
        }
        const auto content = amqp::parse_content_header(header.payload).value();
        delivered.raw_properties = content.properties;
        while (delivered.body.size() < content.body_size) {
            const amqp::Frame body = next();
            if (body.type != 3 || body.channel != channel) throw std::runtime_error("expected a body frame");
            delivered.body += body.payload;
        }
        return delivered;
    }

    World& world_;
    Connection connection_;
    std::string unread_;  // sent by us, not eaten yet
    std::string in_;      // from the broker
    std::size_t at_ = 0;
};

}  // namespace havn::broker::testing
