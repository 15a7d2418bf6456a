#include "gateway/shell/worker.h"

#include <algorithm>
#include <random>
#include <utility>

#include "gateway/shell/amqp_publisher.h"
#include "io/clock.h"

namespace havn::gateway {
namespace {

std::uint64_t random_seed() {
    return std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();
}

}  // namespace

// The parts know each other by reference, some before they are built: no constructor below calls another
// part.
Worker::Worker(Shared& shared, Metrics& metrics, LineSink& log, Drained drained)
    : drained_(std::move(drained)),
      memory_(shared.memory),
      turn_(io::now(), io::wall_now(), random_seed()),
      alarms_(turn_.clock, turn_.deadlines, metrics, shared),
      log_(turn_.clock, turn_.deadlines, metrics, log),
      connector_(poller_, shared.admission, acceptor_),
      clusters_(connector_, metrics, turn_.retired, *this),
      settings_(clusters_, metrics),
      publisher_(std::make_unique<AmqpPublisher>(
          AmqpPublisher::Environment{turn_.clock, turn_.deadlines, poller_, acceptor_})),
      environment_({turn_, settings_, clusters_, metrics, log_, memory_, *publisher_, alarms_, connections_}),
      connections_(environment_.exchange, metrics, turn_.retired, acceptor_),
      acceptor_({turn_, poller_, shared, metrics, settings_, alarms_, connections_, environment_.connection}),
      mailbox_(poller_) {
    set_config(settings_.shared_tables()->config);
}

Worker::~Worker() = default;

void Worker::run() {
    while (!stopped_) turn();
    log_.flush();
}

void Worker::turn(milliseconds wait_max) {
    const bool at_once = more_to_send_ || connections_.has_later();
    poller_.wait(at_once ? milliseconds(0) : std::min(turn_.deadlines.wait(io::now()), wait_max));
    turn_.clock.set(io::now(), io::wall_now());
    connections_.drive_waiting();
    poller_.dispatch();
    turn_.deadlines.advance(turn_.clock.now(),
                            [](Deadlines::Entry& entry) { static_cast<Timer&>(entry).on_deadline(); });
    more_to_send_ = publisher_->end_of_turn();
    turn_.retired.destroy();
    connections_.trim();
    if (settings_.stopping() && connections_.empty()) stopped_ = true;
}

void Worker::set_config(std::shared_ptr<const Config> config) {
    const std::size_t head_bytes = std::max<std::size_t>(config->limits.head_bytes_max, 32768);
    turn_.buffers.set_capacity(head_bytes + BufferPool::own_fields_bytes);
    settings_.set(std::move(config));
    publisher_->set_broker(settings_.tables().config->broker);
}

void Worker::stop() {
    settings_.stop();
    set_listeners({});
    connections_.stop();
}

}  // namespace havn::gateway
