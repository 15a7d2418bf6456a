#include "gateway/shell/amqp_publisher.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "base/log.h"
#include "gateway/shell/worker.h"
#include "io/net.h"

namespace havn::gateway {

static constexpr milliseconds back_off_first{20}, back_off_max{2'000}, handshake_max{5'000};
static constexpr seconds silence_max{15};  // with messages to confirm
static constexpr int pieces_max = 64;      // sent before others have their turn

std::string_view Publisher::name(Outcome outcome) {
    switch (outcome) {
        case Outcome::confirmed:
            return "confirmed";
        case Outcome::unroutable:
            return "unroutable";
        case Outcome::refused:
            return "refused";
        case Outcome::blocked:
            return "blocked";
        case Outcome::withdrawn:
        case Outcome::timed_out:
            return "timeout";
    }
    return "";
}

std::string_view Publisher::message(Outcome outcome) {
    switch (outcome) {
        case Outcome::confirmed:
            return "the job is queued";
        case Outcome::unroutable:
            return "the queue of this route does not exist; the job was not accepted";
        case Outcome::refused:
            return "the broker refused the job; it was not accepted";
        case Outcome::blocked:
            return "the broker takes no messages now; the job was not accepted, send it again later";
        case Outcome::withdrawn:
            return "the broker did not take the job in time; it was not accepted, send it again";
        case Outcome::timed_out:
            return "the broker did not confirm the job in time; it may have been accepted all the same, so "
                   "send it "
                   "again only if doing it twice does no harm";
    }
    return "";
}

AmqpPublisher::~AmqpPublisher() {
    worker_.deadlines().clear(*this);
}

void AmqpPublisher::set_broker(const BrokerAddress& broker) {
    const bool same = broker.address == broker_.address && broker.user == broker_.user &&
                      broker.password == broker_.password && broker.vhost == broker_.vhost;
    broker_ = broker;
    if (!same && state_ != State::idle) disconnect("another broker is configured");
}

void AmqpPublisher::publish(Job job, Waiter& waiter) {
    sender_.publish(std::move(job), waiter);
    if (state_ == State::idle && sender_.has_waiting()) connect();
}

void AmqpPublisher::forget(Waiter& waiter) {
    sender_.forget(waiter);
}

// A broker that says it is blocked, or that does not even read what it was sent, cannot have accepted the
// job: it drops what it has not taken in when the connection ends. One that reads and does not confirm may
// have.
bool AmqpPublisher::give_up(Waiter& waiter) {
    const Time asked = worker_.now() - broker_.confirm_timeout;
    const JobSender::Sent sent = sender_.forget(waiter);
    if (sent == JobSender::Sent::nothing) return true;
    if (!socket_.is_open()) return false;
    const bool silent = last_received_ <= asked;
    const bool stalled = silent && (sent == JobSender::Sent::part || peer_has_unread());
    if (sender_.blocked() || stalled) {
        disconnect(sender_.blocked() ? "it is blocked and holds back what it was sent" : "it reads nothing");
        return sent == JobSender::Sent::part;
    }
    if (worker_.now() - last_received_ > silence_max) disconnect("it confirms nothing");
    return false;
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

void AmqpPublisher::connect() {
    const Result<io::Address> address = io::parse_address(broker_.address);
    if (!address) return disconnect(address.error().text());
    const auto& endpoint = address->endpoint;
    const int kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    io::Fd fd(::socket(endpoint.protocol().family(), kind, 0));
    if (!fd && worker_.free_descriptors(errno)) fd.reset(::socket(endpoint.protocol().family(), kind, 0));
    if (!fd) return disconnect(fail_errno("socket").error().message);
    socket_ = Socket(std::move(fd));
    state_ = State::connecting;
    worker_.deadlines().set(*this, worker_.now() + handshake_max);
    const int connected = ::connect(socket_.fd(), endpoint.data(), static_cast<socklen_t>(endpoint.size()));
    if (connected != 0 && errno != EINPROGRESS) return disconnect(fail_errno("connect").error().message);
    socket_.not_writable_yet();
    const Result<> added = worker_.poller().add(socket_.fd(), *this, Poller::edge);
    if (!added) disconnect(added.error().message);
}

void AmqpPublisher::connected() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return disconnect(fail_errno("connect", error).error().message);
    state_ = State::handshaking;
    sender_.opened({broker_.user, broker_.password, broker_.vhost});
}

void AmqpPublisher::disconnect(const std::string& why) {
    if (failures_ == 0) log::warning("broker {}: {}; connecting again", broker_.address, why);
    socket_.close();
    sender_.closed();
    state_ = State::backing_off;
    const milliseconds wait = std::min(back_off_first * (1u << std::min(failures_, 10u)), back_off_max);
    worker_.deadlines().set(*this, worker_.now() + (failures_ == 0 ? milliseconds(1) : wait));
    ++failures_;
}

void AmqpPublisher::arm_heartbeat() {
    const std::uint16_t heartbeat = sender_.heartbeat_seconds();
    if (heartbeat == 0) return worker_.deadlines().clear(*this);
    worker_.deadlines().set(*this, worker_.now() + milliseconds(heartbeat * 500));
}

void AmqpPublisher::on_deadline() {
    switch (state_) {
        case State::idle:
            break;
        case State::backing_off:
            state_ = State::idle;
            if (sender_.has_waiting()) connect();
            break;
        case State::connecting:
        case State::handshaking:
            disconnect("no answer");
            break;
        case State::ready:
            if (worker_.now() - last_received_ > seconds(2 * sender_.heartbeat_seconds()))
                return disconnect("no heartbeat");
            sender_.add_heartbeat();
            arm_heartbeat();
            break;
    }
}

void AmqpPublisher::on_ready(std::uint32_t events) {
    if (!socket_.is_open()) return;
    socket_.note(events);
    if (state_ == State::connecting && (socket_.writable() || socket_.broken())) connected();
    if (state_ == State::handshaking || state_ == State::ready) receive();
}

bool AmqpPublisher::end_of_turn() {
    if (state_ == State::connecting || !socket_.is_open()) return false;
    for (int pieces = 0; socket_.writable(); ++pieces) {
        const JobSender::Output output = sender_.output();
        Outgoing outgoing{output.head, output.body};
        if (outgoing.empty()) return false;
        if (pieces == pieces_max) return true;
        const std::size_t size = outgoing.head.size() + outgoing.body.size();
        const Socket::Status status = socket_.send(outgoing);
        sender_.sent(size - outgoing.head.size() - outgoing.body.size());
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
        last_received_ = worker_.now();
        const Result<> taken = sender_.receive({buffer, received.size});
        if (!taken) return disconnect(taken.error().message);
        note_progress();
    }
}

// What the bytes just received have changed.
void AmqpPublisher::note_progress() {
    if (state_ == State::handshaking && sender_.ready()) {
        if (failures_ > 1) log::info("broker {}: connected", broker_.address);
        failures_ = 0;
        state_ = State::ready;
        arm_heartbeat();
    }
    if (sender_.blocked() && !said_blocked_) {
        said_blocked_ = true;
        log::warning(
            "broker {}: it takes no messages ({}): jobs are answered 503 until it does; free space on "
            "the disk of its queues, or let workers take messages out of them",
            broker_.address, sender_.blocked_reason());
    } else if (said_blocked_ && sender_.takes_messages()) {
        said_blocked_ = false;
        log::info("broker {}: it takes messages again", broker_.address);
    }
}

}  // namespace havn::gateway
