#include "sim/publisher_peers.h"

#include <algorithm>

#include "wire/amqp/properties.h"

namespace havn::sim {

std::string body_of(const std::string& id) {
    const std::size_t size = std::hash<std::string>{}(id) % 9 == 0 ? 40'000 : id.size() * 20;
    std::string body;
    while (body.size() < size) body += id + " ";
    return body;
}

void Publisher::publish(gateway::Job job, gateway::JobSender::Waiter& waiter) {
    sender_.publish(std::move(job), waiter);
    look();
}

bool Publisher::give_up(gateway::JobSender::Waiter& waiter, Time asked) {
    const bool unread = end_ && sender_.is_silent_since(asked) && end_->bytes_unread_by_peer() > 0;
    const gateway::JobSender::GivenUp given_up = sender_.give_up(waiter, asked, scheduler_.now(), unread);
    if (!given_up.end_because.empty() && end_) disconnect();
    return given_up.withdrawn;
}

void Publisher::hang_up() {
    over_ = true;
    scheduler_.cancel(timer_);
    if (end_) disconnect();
}

void Publisher::look() {
    if (over_) return;
    if (!end_) connect();
    if (end_) receive();
    if (end_) send();
    arm();
}

void Publisher::connect() {
    if (!sender_.wants_connection(scheduler_.now())) return;
    end_ = dial_();
    if (!end_) return sender_.closed(scheduler_.now());
    end_->listen([this, end = end_](End::Edge) {
        if (end == end_) look();
    });
    sender_.opened({"guest", "guest", "/"}, scheduler_.now());
}

void Publisher::disconnect() {
    end_->close();
    end_ = nullptr;
    sender_.closed(scheduler_.now());
}

void Publisher::receive() {
    char buffer[16'384];
    while (end_) {
        const End::Moved got = end_->receive(buffer, sizeof buffer);
        if (got.status == End::Status::blocked) return;
        if (got.status != End::Status::ok) return disconnect();
        if (!sender_.receive({buffer, got.size}, scheduler_.now())) return disconnect();
    }
}

void Publisher::send() {
    for (;;) {
        const gateway::JobSender::Output output = sender_.output();
        const std::string_view piece = output.head.empty() ? output.body : output.head;
        if (piece.empty()) return;
        const End::Moved sent = end_->send(piece);
        if (sent.status == End::Status::failed) return disconnect();
        if (sent.status != End::Status::ok) return;
        sender_.sent(sent.size);
    }
}

void Publisher::arm() {
    scheduler_.cancel(timer_);
    if (over_) return;
    const Time due = end_ ? sender_.due() : sender_.has_waiting() ? sender_.retry_at() : Time::max();
    if (due == Time::max()) return;
    timer_ = scheduler_.at(due, [this] {
        if (end_ && !sender_.on_time(scheduler_.now())) disconnect();
        look();
    });
}

Worker::Worker(Scheduler& scheduler, Dial dial, std::string queue)
    : scheduler_(scheduler),
      dial_(std::move(dial)),
      queue_(std::move(queue)),
      connection_({}, *this),
      channel_(connection_, *this) {
    connect_later();
}

void Worker::hang_up() {
    over_ = true;
    ++life_;
    if (end_) end_->close();
    end_ = nullptr;
    connection_.reset();
}

void Worker::connect_later() {
    connection_.reset();
    unread_.clear();
    if (end_) end_->close();
    end_ = nullptr;
    scheduler_.within(milliseconds(1), milliseconds(500), [this, life = ++life_] {
        if (life != life_ || over_) return;
        end_ = dial_();
        if (!end_) return connect_later();
        connection_.open({"guest", "guest", "/"}, scheduler_.now());
        end_->listen([this, end = end_](End::Edge) {
            if (end == end_) look();
        });
        look();
    });
}

void Worker::on_open() {
    channel_.request(amqp::BasicQos{.prefetch_count = 5});
    channel_.request(amqp::BasicConsume{.queue = std::string_view(queue_), .consumer_tag = "worker"});
}

// It is executed, and acknowledged some time later, if the connection is still that one.
void Worker::on_delivery(const amqp::client::Delivery& delivery) {
    const auto properties = amqp::parse_properties(delivery.properties);
    const std::string id(properties ? std::string_view(properties->message_id) : "");
    ++executed_[id];
    intact_ = intact_ && delivery.body == body_of(id);
    scheduler_.within(Duration::zero(), milliseconds(20), [this, tag = delivery.tag, life = life_] {
        if (life != life_ || over_) return;
        channel_.acknowledge(tag);
        look();
    });
}

void Worker::look() {
    char buffer[8'192];
    while (end_) {
        const End::Moved got = end_->receive(buffer, sizeof buffer);
        if (got.status == End::Status::blocked) break;
        if (got.status != End::Status::ok) return connect_later();
        unread_.append(buffer, got.size);
        const Result<std::size_t> eaten = connection_.receive(unread_, scheduler_.now());
        if (!eaten) return connect_later();
        unread_.erase(0, *eaten);
    }
    while (end_) {
        const std::string_view piece = connection_.pieces().head;
        if (piece.empty()) return;
        const End::Moved sent = end_->send(piece);
        if (sent.status == End::Status::failed) return connect_later();
        if (sent.status != End::Status::ok) return;
        connection_.sent(sent.size);
    }
}

}  // namespace havn::sim
