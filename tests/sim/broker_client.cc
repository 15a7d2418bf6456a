#include "sim/broker_client.h"

#include <gtest/gtest.h>

#include <utility>

#include "wire/amqp/methods.h"
#include "wire/amqp/properties.h"

namespace havn::sim {

using namespace amqp;

namespace {

constexpr std::uint32_t frame_max = 8'192;
constexpr std::string_view queue = "q";
constexpr std::size_t unconfirmed_max = 16;

bool is_confirm_of(std::uint64_t sequence, const BasicAck& ack) {
    return ack.multiple ? sequence <= ack.delivery_tag : sequence == ack.delivery_tag;
}

}  // namespace

BrokerClient::BrokerClient(Scheduler& scheduler, BrokerHost& host, BrokerLedger& ledger, Role role,
                           std::string vhost)
    : scheduler_(scheduler), host_(host), ledger_(ledger), role_(role), vhost_(std::move(vhost)) {
    connect();
}

template <class Method>
void BrokerClient::put(std::uint16_t channel, const Method& method) {
    append_method(out_, channel, method);
}

void BrokerClient::connect() {
    if (gone_) return;
    ++connections_;
    in_.clear();
    sequence_ = 0;
    unconfirmed_.clear();
    content_.clear();
    content_bytes_ = 0;
    reading_ = true;
    end_ = host_.connect();
    end_->listen([this, connection = connections_](End::Edge edge) {
        if (end_ && connection == connections_) on_edge(edge);
    });
    out_ = protocol_header;
    put(0, ConnectionStartOk{{}, "PLAIN", std::string_view("\0guest\0guest", 12), "en_US"});
    put(0, ConnectionTuneOk{16, frame_max, 60});
    put(0, ConnectionOpen{std::string_view(vhost_), "", false});
    put(1, ChannelOpen{});
    QueueDeclare declare;
    declare.queue = queue;
    declare.durable = true;
    put(1, declare);
    if (role_ == Role::publisher) put(1, ConfirmSelect{});
    if (role_ == Role::worker) {
        put(1, BasicQos{0, static_cast<Short>(scheduler_.random().between(1, 5)), false});
        put(1, BasicConsume{0, queue, "w", false, false, false, false, {}});
    }
    write();
}

void BrokerClient::disconnect() {
    if (!end_) return;
    end_->close();
    end_ = nullptr;
    scheduler_.within(milliseconds(1), milliseconds(300), [this] { connect(); });
}

void BrokerClient::hang_up() {
    gone_ = true;
    disconnect();
}

void BrokerClient::in_this_connection(Duration delay, std::function<void()> action) {
    scheduler_.after(delay, [this, connection = connections_, action = std::move(action)] {
        if (end_ && connection == connections_) action();
    });
}

void BrokerClient::on_edge(End::Edge edge) {
    if (edge.broken) return disconnect();
    write();
    if (end_ && reading_) read();
}

void BrokerClient::write() {
    while (end_ && !out_.empty()) {
        const End::Moved moved = end_->send(out_);
        if (moved.status == End::Status::failed) return disconnect();
        if (moved.status != End::Status::ok) return;
        out_.erase(0, moved.size);
    }
}

void BrokerClient::read() {
    char piece[8'192];
    while (end_ && reading_) {
        const End::Moved moved = end_->receive(piece, sizeof piece);
        if (moved.status == End::Status::blocked) break;
        if (moved.status != End::Status::ok) return disconnect();
        in_.append(piece, moved.size);
        std::size_t at = 0;
        while (end_) {
            const FrameParse parsed = parse_frame(std::string_view(in_).substr(at), frame_max);
            if (parsed.status == Parse::need_more) break;
            ASSERT_EQ(parsed.status, Parse::complete) << "the broker sent what is no frame";
            at += parsed.eaten;
            on_frame(parsed.frame);
        }
        in_.erase(0, at);
    }
    write();
}

void BrokerClient::on_frame(const Frame& frame) {
    switch (static_cast<FrameType>(frame.type)) {
        case FrameType::method:
            return on_method(load<MethodId>(frame.payload.data()), frame.payload.substr(sizeof(MethodId)));
        case FrameType::header:
            content_.clear();
            content_bytes_ = parse_content_header(frame.payload)->body_size;
            if (content_bytes_ == 0) on_whole_content();
            return;
        case FrameType::body:
            content_.append(frame.payload);
            if (content_.size() == content_bytes_) on_whole_content();
            return;
        case FrameType::heartbeat:
            return;
    }
    ADD_FAILURE() << "a frame of type " << static_cast<unsigned>(frame.type);
}

void BrokerClient::on_method(MethodId id, std::string_view arguments) {
    switch (id) {
        case QueueDeclareOk::id:
            return begin_work();
        case BasicAck::id: {
            const BasicAck ack = *decode<BasicAck>(arguments);
            while (!unconfirmed_.empty() && is_confirm_of(unconfirmed_.begin()->first, ack)) {
                ledger_.on_confirm(unconfirmed_.begin()->second);
                unconfirmed_.erase(unconfirmed_.begin());
            }
            return;
        }
        case BasicDeliver::id:
            tag_ = decode<BasicDeliver>(arguments)->delivery_tag;
            return;
        case BasicReturn::id:
            tag_ = 0;
            return;
        case ConnectionClose::id:
        case ChannelClose::id:
            ADD_FAILURE() << "closed by the broker: " << method_name(id) << " " << arguments;
            return disconnect();
        default:
            return;
    }
}

void BrokerClient::begin_work() {
    if (role_ != Role::worker) in_this_connection({}, [this] { publish_some(); });
    if (role_ != Role::publisher) in_this_connection({}, [this] { stop_reading_for_a_while(); });
}

void BrokerClient::put_content(std::string_view exchange, std::string_view key, std::string_view body,
                               bool mandatory) {
    Properties properties;
    properties.flags = Properties::has_delivery_mode;
    properties.delivery_mode = 2;
    std::string encoded;
    append_properties(encoded, properties);
    put(1, BasicPublish{0, exchange, key, mandatory, false});
    const std::size_t size = content_size(encoded.size(), body.size(), frame_max);
    store_content(extend(out_, size), 1, encoded, body, frame_max);
}

void BrokerClient::publish_some() {
    Random& random = scheduler_.random();
    if (calm_) return;
    if (role_ == Role::flooder) {
        const std::string body(random.between(20'000, 200'000), 'f');
        if (out_.size() < 1u << 20) put_content("", "nowhere", body, true);
    } else if (unconfirmed_.size() < unconfirmed_max) {
        const std::size_t padding = random.once_in(10) ? random.between(30'000, 70'000) : random.below(300);
        const std::string body = ledger_.publish(vhost_, padding);
        put_content("", queue, body, random.once_in(4));
        unconfirmed_[++sequence_] = BrokerLedger::name_of(body);
    }
    write();
    const auto pause = microseconds(random.between(100, role_ == Role::flooder ? 5'000 : 60'000));
    in_this_connection(pause, [this] { publish_some(); });
}

void BrokerClient::stop_reading_for_a_while() {
    Random& random = scheduler_.random();
    reading_ = !reading_ || calm_;
    if (reading_) read();
    const bool slow = role_ == Role::flooder;
    const auto pause =
        milliseconds(reading_ ? random.between(1, slow ? 20 : 900) : random.between(1, slow ? 3'000 : 400));
    if (!calm_) in_this_connection(pause, [this] { stop_reading_for_a_while(); });
    if (calm_ && !reading_) read();
}

void BrokerClient::on_whole_content() {
    content_bytes_ = UINT64_MAX;
    const std::uint64_t tag = std::exchange(tag_, 0);
    if (tag == 0) return;  // it was returned
    ledger_.on_delivery(vhost_, content_);
    const auto works = microseconds(scheduler_.random().between(10, 30'000));
    in_this_connection(works, [this, tag, name = BrokerLedger::name_of(content_)] { answer(tag, name); });
}

void BrokerClient::answer(std::uint64_t tag, const std::string& name) {
    if (!calm_ && scheduler_.random().once_in(12)) {
        put(1, BasicNack{tag, false, true});
    } else {
        ledger_.on_acknowledge(name);
        put(1, BasicAck{tag, false});
    }
    write();
}

}  // namespace havn::sim
