#include "gateway/shell/amqp_publisher.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "base/log.h"
#include "io/net.h"

namespace havn::gateway {

namespace {

constexpr seconds connect_timeout{5};
constexpr int pieces_max = 64;  // sent before others have their turn

}  // namespace

AmqpPublisher::~AmqpPublisher() {
    environment_.deadlines.clear(*this);
}

void AmqpPublisher::set_broker(const BrokerAddress& broker) {
    const bool same = broker.address == broker_.address && broker.user == broker_.user &&
                      broker.password == broker_.password && broker.vhost == broker_.vhost;
    broker_ = broker;
    if (!same && (socket_.is_open() || sender_.failures() > 0)) disconnect("another broker is configured");
}

void AmqpPublisher::publish(Job job, Waiter& waiter) {
    sender_.publish(std::move(job), waiter);
    if (!socket_.is_open()) connect();
}

void AmqpPublisher::forget(Waiter& waiter) {
    sender_.forget(waiter);
}

bool AmqpPublisher::give_up(Waiter& waiter) {
    const Time asked = environment_.clock.now() - broker_.confirm_timeout;
    const bool unread = socket_.is_open() && sender_.is_silent_since(asked) && peer_has_unread();
    const JobSender::GivenUp given_up = sender_.give_up(waiter, asked, environment_.clock.now(), unread);
    if (!given_up.end_because.empty() && socket_.is_open()) disconnect(given_up.end_because);
    return given_up.withdrawn;
}

// Only a local socket tells what its peer has not read; elsewhere the kernel over there has it already.
bool AmqpPublisher::peer_has_unread() const {
    int unread = 0;
    return broker_.address.starts_with("unix:") && ::ioctl(socket_.fd(), SIOCOUTQ, &unread) == 0 &&
           unread > 0;
}

std::string_view AmqpPublisher::blocked_reason() const {
    return sender_.blocked() ? std::string_view(sender_.blocked_reason()) : std::string_view();
}

// When there are jobs and the pause after a failure is over; else that is what the timer waits for.
void AmqpPublisher::connect() {
    if (!sender_.wants_connection(environment_.clock.now())) return arm();
    const Result<io::Address> address = io::parse_address(broker_.address);
    if (!address) return disconnect(address.error().text());
    const auto& endpoint = address->endpoint;
    const int kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    io::Fd fd(::socket(endpoint.protocol().family(), kind, 0));
    if (!fd && environment_.descriptors.free_some(errno)) {
        fd.reset(::socket(endpoint.protocol().family(), kind, 0));
    }
    if (!fd) return disconnect(fail_errno("socket").error().message);
    socket_ = Socket(std::move(fd));
    connecting_ = true;
    connect_by_ = environment_.clock.now() + connect_timeout;
    arm();
    const int connected = ::connect(socket_.fd(), endpoint.data(), static_cast<socklen_t>(endpoint.size()));
    if (connected != 0 && errno != EINPROGRESS) return disconnect(fail_errno("connect").error().message);
    socket_.not_writable_yet();
    const Result<> added = environment_.poller.add(socket_.fd(), *this, Poller::edge);
    if (!added) disconnect(added.error().message);
}

void AmqpPublisher::connected() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return disconnect(fail_errno("connect", error).error().message);
    connecting_ = false;
    sender_.opened({broker_.user, broker_.password, broker_.vhost}, environment_.clock.now());
}

void AmqpPublisher::disconnect(std::string_view why) {
    if (sender_.failures() == 0) log::warning("broker {}: {}; connecting again", broker_.address, why);
    socket_.close();
    connecting_ = false;
    sender_.closed(environment_.clock.now());
    arm();
}

// One timer for whatever comes next: the end of the connecting, what the protocol asks for, the next attempt.
void AmqpPublisher::arm() {
    Time due = sender_.due();
    if (connecting_) {
        due = connect_by_;
    } else if (!socket_.is_open()) {
        due = sender_.has_waiting() ? sender_.retry_at() : Time::max();
    }
    if (due == std::exchange(armed_, due)) return;
    if (due == Time::max()) return environment_.deadlines.clear(*this);
    environment_.deadlines.set(*this, due);
}

void AmqpPublisher::on_deadline() {
    armed_ = Time::max();
    if (!socket_.is_open()) return connect();
    if (connecting_) return disconnect("no answer");
    const Result<> in_time = sender_.on_time(environment_.clock.now());
    if (!in_time) return disconnect(in_time.error().message);
    arm();
}

void AmqpPublisher::on_ready(std::uint32_t events) {
    if (!socket_.is_open()) return;
    socket_.note(events);
    if (connecting_ && (socket_.writable() || socket_.broken())) connected();
    if (!connecting_ && socket_.is_open()) receive();
    arm();
}

bool AmqpPublisher::end_of_turn() {
    if (connecting_ || !socket_.is_open()) return false;
    for (int pieces = 0; socket_.writable(); ++pieces) {
        const JobSender::Output output = sender_.output();
        Outgoing outgoing{output.head, output.body};
        if (outgoing.empty()) return false;
        if (pieces == pieces_max) return true;
        const std::size_t size = outgoing.size();
        const Socket::Status status = socket_.send(outgoing);
        sender_.sent(size - outgoing.size());
        if (status == Socket::Status::failed) {
            disconnect("connection lost");
            return false;
        }
    }
    return false;
}

void AmqpPublisher::receive() {
    char buffer[16384];
    while (socket_.is_open() && socket_.readable()) {
        const Socket::Received received = socket_.receive(buffer, sizeof buffer);
        if (received.status == Socket::Status::blocked) return;
        if (received.status != Socket::Status::ok) return disconnect("connection closed");
        const unsigned failures = sender_.failures();
        const Result<> taken = sender_.receive({buffer, received.size}, environment_.clock.now());
        if (!taken) return disconnect(taken.error().message);
        log_progress(failures);
    }
}

// What the bytes just received have changed; before them so many connections had failed in a row.
void AmqpPublisher::log_progress(unsigned failures) {
    if (failures > 1 && sender_.failures() == 0) log::info("broker {}: connected", broker_.address);
    if (sender_.blocked() && !logged_blocked_) {
        logged_blocked_ = true;
        log::warning(
            "broker {}: it takes no messages ({}): jobs are answered 503 until it does; free space on "
            "the disk of its queues, or let workers take messages out of them",
            broker_.address, sender_.blocked_reason());
    } else if (logged_blocked_ && sender_.takes_messages()) {
        logged_blocked_ = false;
        log::info("broker {}: it takes messages again", broker_.address);
    }
}

}  // namespace havn::gateway
