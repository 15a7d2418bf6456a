#include "gateway/shell/client.h"

#include <cerrno>
#include <cstring>

#include "gateway/shell/exchange.h"
#include "gateway/shell/worker.h"

namespace havn::gateway {

// A client that is answered while it sends reads the answer when it has sent all, or when it looks: until
// then what it sends is read and dropped. So many clients of a thread at once are given the time an upload
// takes; more of them get the short one.
static constexpr std::size_t lingering_max = 256;
static constexpr seconds linger_time_max{30}, linger_silence_max{5};
static constexpr seconds short_linger_time_max{2};
static constexpr std::uint64_t short_linger_bytes_max = 1u << 20;
static constexpr int linger_pieces_max = 16;  // read in one turn
static constexpr int steps_max = 64;          // pipelined requests in one turn

Client::Client(Worker& worker, io::Fd fd, const IpAddress& address, bool trusted, Admission::Place place,
               const RouteEntry* service)
    : socket(std::move(fd)),
      worker_(worker),
      service_(service),
      place_(std::move(place)),
      address_(to_text(address)),
      since_(worker.now()),
      trusted_(trusted) {
    worker_.deadlines().set(*this, deadline());
}

Client::~Client() {
    worker_.deadlines().clear(*this);
}

void Client::on_ready(std::uint32_t events) {
    socket.note(events);
    if (exchange_ && socket.broken()) exchange_->client_lost();
    drive();
}

void Client::drive() {
    if (driving_) return;  // the loop below is under way, further up
    driving_ = true;
    bool more = true;
    for (int requests = 0; more; ++requests) {
        if (requests == steps_max) {
            worker_.drive_later(*this);
            break;
        }
        switch (state_) {
            case State::reading:
                more = next_request();
                break;
            case State::exchanging:
                exchange_->run();
                more = state_ != State::exchanging;
                break;
            case State::lingering:
                linger();
                more = false;
                break;
            case State::closed:
                more = false;
                break;
        }
    }
    driving_ = false;
}

Time Client::deadline() const {
    const Limits& limits = worker_.tables().config->limits;
    if (state_ == State::lingering) {
        if (!patient_ || stopping_) return since_ + short_linger_time_max;
        return std::min(since_ + linger_time_max, heard_ + linger_silence_max);
    }
    return since_ + (head_begun_ ? limits.head_timeout : limits.idle_timeout);
}

// The entry is moved only to come earlier. A deadline that was put off is found out when the old one fires:
// a busy connection costs its deadline nothing per request.
void Client::on_deadline() {
    const Time due = state_ == State::exchanging ? worker_.now() + seconds(1) : deadline();
    if (due > worker_.now()) {
        worker_.deadlines().set(*this, due);
    } else if (state_ == State::reading && head_begun_) {
        state_ = State::exchanging;
        exchange_ = worker_.take_exchange();
        exchange_->begin_refused(*this, std::move(in_), 408,
                                 "the head of the request did not arrive in time");
        drive();
    } else {
        close();
    }
}

void Client::note_head_begun() {
    if (head_begun_) return;
    head_begun_ = true;
    since_ = worker_.now();
    worker_.deadlines().set(*this, deadline());
}

// True when an exchange began.
bool Client::next_request() {
    bool parsed = false;
    for (;;) {
        if (in_ && in_->size() > 0 && !parsed) {
            if (parse()) return true;
            parsed = true;
        }
        if (!socket.readable()) {
            if (in_ && in_->size() == 0) in_.reset();
            if (in_) note_head_begun();
            if (!in_ && stopping_) close();
            return false;
        }
        if (!in_) in_ = worker_.buffers().take_small();
        const Socket::Received received = socket.receive(in_->space(), in_->space_size());
        if (received.status == Socket::Status::ok) {
            in_->end += received.size;
            parsed = false;
        } else if (received.status != Socket::Status::blocked) {
            close();
            return false;
        }
    }
}

bool Client::parse() {
    const Limits& limits = worker_.tables().config->limits;
    std::vector<http1::Header>& storage = worker_.header_storage();
    http1::RequestHead head;
    http1::Parsed parsed;
    if (arrival_.worth_parsing(in_->text())) {
        parsed = http1::parse_request_head(in_->text(), {storage.data(), limits.header_count_max}, head);
    }
    const bool oversized = parsed.progress == http1::Progress::complete ? parsed.bytes > limits.head_bytes_max
                                                                        : in_->size() > limits.head_bytes_max;
    if (parsed.progress == http1::Progress::need_more && !oversized) {
        if (in_->full()) make_room();
        return false;
    }
    state_ = State::exchanging;
    exchange_ = worker_.take_exchange();
    if (parsed.progress == http1::Progress::malformed) {
        const http1::RuleRow& broken = http1::row(parsed.rule);
        exchange_->begin_refused(*this, std::move(in_), broken.status, broken.text);
    } else if (oversized) {
        const bool in_first_line = in_->text().find('\n') > limits.head_bytes_max;
        exchange_->begin_refused(*this, std::move(in_), in_first_line ? 414 : 431,
                                 "the head of the request is larger than this gateway takes");
    } else {
        exchange_->begin(*this, std::move(in_), head, parsed.bytes);
    }
    return true;
}

// Pipelined requests moved a head to the end of its buffer, or the limit was raised since it was taken.
void Client::make_room() {
    if (in_->size() < in_->capacity / 2) return in_->compact();
    BufferPtr larger = worker_.buffers().take(2 * in_->size());
    std::memcpy(larger->space(), in_->first(), in_->size());
    larger->end += in_->size();
    in_ = std::move(larger);
}

void Client::exchange_over(After after, BufferPtr rest) {
    worker_.give_back(std::move(exchange_));
    state_ = State::reading;
    head_begun_ = false;
    since_ = worker_.now();
    in_ = std::move(rest);
    arrival_.reset();
    if (after == After::keep && !(stopping_ && !in_)) return worker_.client_waits(*this);
    in_.reset();
    if (after == After::linger) {
        begin_linger();
    } else {
        if (after == After::reset) {
            const struct linger hard{1, 0};
            ::setsockopt(socket.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        close();
    }
}

void Client::begin_linger() {
    state_ = State::lingering;
    heard_ = since_;
    patient_ = worker_.lingering < lingering_max;
    if (patient_) ++worker_.lingering;
    socket.shutdown_write();
    worker_.deadlines().set(*this, deadline());
}

void Client::linger() {
    const BufferPtr buffer = worker_.buffers().take();
    for (int pieces = 0; socket.readable(); ++pieces) {
        if (pieces == linger_pieces_max) return worker_.drive_later(*this);
        const Socket::Received received = socket.receive(buffer->space(), buffer->space_size());
        if (received.status == Socket::Status::blocked) return;
        if (received.status != Socket::Status::ok) return close();
        heard_ = worker_.now();
        lingered_ += received.size;
        if (!patient_ && lingered_ > short_linger_bytes_max) return close();
    }
}

bool Client::idle_since(Time time) const {
    if (state_ != State::reading || in_ || socket.readable() || since_ > time) return false;
    char byte;
    return ::recv(socket.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void Client::stop() {
    stopping_ = true;
    if (state_ == State::reading && !in_) close();
    if (state_ == State::lingering) worker_.deadlines().set(*this, deadline());
}

void Client::close() {
    if (state_ == State::closed) return;
    if (patient_) --worker_.lingering;
    state_ = State::closed;
    in_.reset();
    socket.close();
    place_.leave();
    worker_.deadlines().clear(*this);
    worker_.client_closed(*this);
}

}  // namespace havn::gateway
