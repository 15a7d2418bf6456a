#include "gateway/core/http1/http1_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "gateway/core/http1/connections.h"
#include "gateway/core/http1/http1_exchange.h"

namespace havn::gateway {
namespace {

// A client that is answered while it sends reads the answer when it has sent all, or when it looks: until
// then what it sends is read and dropped. So many clients of a thread at once are given the time an upload
// takes; more of them get the short one.
constexpr std::size_t lingering_max = 256;
constexpr seconds linger_time_max{30}, linger_silence_max{5};
constexpr seconds short_linger_time_max{2};
constexpr std::uint64_t short_linger_bytes_max = 1u << 20;
constexpr int linger_pieces_max = 16;  // read in one turn
constexpr int requests_max = 64;       // pipelined requests in one turn

}  // namespace

Http1Connection::Http1Connection(const Environment& environment, const Peer& peer)
    : environment_(environment),
      service_(peer.service),
      address_(to_text(peer.address)),
      since_(environment.clock.now()),
      trusted_(peer.trusted) {
    environment_.deadlines.set(*this, deadline());
}

Http1Connection::~Http1Connection() {
    environment_.deadlines.clear(*this);
}

void Http1Connection::on_transport_ready() {
    if (exchange_ && transport_->broken()) exchange_->transaction.client_lost();
    drive();
}

void Http1Connection::drive() {
    if (driving_) return;  // the loop below is under way, further up
    driving_ = true;
    bool more = true;
    for (int requests = 0; more; ++requests) {
        if (requests == requests_max) {
            drive_later();
            break;
        }
        switch (state_) {
            case State::reading:
                more = next_request();
                break;
            case State::serving:
                exchange_->transaction.run();
                more = state_ != State::serving;
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

void Http1Connection::drive_later() {
    environment_.connections.drive_later(*this);
}

Time Http1Connection::deadline() const {
    const Limits& limits = environment_.settings.limits();
    if (state_ == State::lingering) {
        if (!patient_ || stopping_) return since_ + short_linger_time_max;
        return std::min(since_ + linger_time_max, heard_ + linger_silence_max);
    }
    return since_ + (head_begun_ ? limits.head_timeout : limits.idle_timeout);
}

// The entry is moved only to come earlier. A deadline that was put off is found out when the old one fires:
// a busy connection costs its deadline nothing per request.
void Http1Connection::on_deadline() {
    const Time now = environment_.clock.now();
    const Time due = state_ == State::serving ? now + seconds(1) : deadline();
    if (due > now) {
        environment_.deadlines.set(*this, due);
    } else if (state_ == State::reading && head_begun_) {
        refuse(408, "the head of the request did not arrive in time");
        drive();
    } else {
        close();
    }
}

void Http1Connection::note_head_begun() {
    if (head_begun_) return;
    head_begun_ = true;
    since_ = environment_.clock.now();
    environment_.deadlines.set(*this, deadline());
}

// True when a transaction began.
bool Http1Connection::next_request() {
    bool parsed = false;
    for (;;) {
        if (in_ && in_->size() > 0 && !parsed) {
            if (parse()) return true;
            parsed = true;
        }
        if (!transport_->readable()) {
            if (in_ && in_->size() == 0) in_.reset();
            if (in_) note_head_begun();
            if (!in_ && stopping_) close();
            return false;
        }
        if (!in_) in_ = environment_.buffers.take_small();
        const Transport::Received received = transport_->receive(in_->space(), in_->space_size());
        if (received.status == Transport::Status::ok) {
            in_->end += received.size;
            parsed = false;
        } else if (received.status != Transport::Status::blocked) {
            close();
            return false;
        }
    }
}

bool Http1Connection::parse() {
    const Limits& limits = environment_.settings.limits();
    http1::RequestHead head;
    http1::Parsed parsed;
    if (arrival_.worth_parsing(in_->text())) {
        parsed = http1::parse_request_head(
            in_->text(), environment_.settings.header_storage().first(limits.header_count_max), head);
    }
    const bool oversized = parsed.progress == http1::Progress::complete ? parsed.bytes > limits.head_bytes_max
                                                                        : in_->size() > limits.head_bytes_max;
    if (parsed.progress == http1::Progress::need_more && !oversized) {
        if (in_->full()) make_room();
        return false;
    }
    if (parsed.progress == http1::Progress::malformed) {
        const http1::RuleRow& broken = http1::row(parsed.rule);
        refuse(broken.status, broken.text);
    } else if (oversized) {
        const bool in_first_line = in_->text().find('\n') > limits.head_bytes_max;
        refuse(in_first_line ? 414 : 431, "the head of the request is larger than this gateway takes");
    } else {
        serve(head, parsed.bytes);
    }
    return true;
}

void Http1Connection::serve(const http1::RequestHead& head, std::size_t head_bytes) {
    state_ = State::serving;
    exchange_ = environment_.connections.take_exchange();
    const std::expected<void, http1::Rule> served =
        exchange_->downstream.begin(*this, std::move(in_), head, head_bytes);
    if (served) return exchange_->transaction.begin(exchange_->downstream);
    const http1::RuleRow& broken = http1::row(served.error());
    exchange_->transaction.begin_refused(exchange_->downstream, broken.status, broken.text);
}

void Http1Connection::refuse(std::uint16_t status, std::string_view why) {
    state_ = State::serving;
    exchange_ = environment_.connections.take_exchange();
    exchange_->downstream.begin_unreadable(*this, std::move(in_));
    exchange_->transaction.begin_refused(exchange_->downstream, status, why);
}

// Pipelined requests moved a head to the end of its buffer, or the limit was raised since it was taken.
void Http1Connection::make_room() {
    if (in_->size() < in_->capacity / 2) return in_->compact();
    BufferPtr larger = environment_.buffers.take(2 * in_->size());
    larger->append(in_->text());
    in_ = std::move(larger);
}

void Http1Connection::transaction_over(After after, BufferPtr rest) {
    environment_.connections.give_back(std::move(exchange_));
    if (!driving_) drive_later();  // a deadline ended it: what has come since is looked at, if it stays open
    state_ = State::reading;
    head_begun_ = false;
    since_ = environment_.clock.now();
    in_ = std::move(rest);
    arrival_.reset();
    if (after == After::keep && !(stopping_ && !in_)) return environment_.connections.note_waiting(*this);
    in_.reset();
    if (after == After::reset) transport_->reset();
    if (after != After::linger) return close();
    begin_linger();
}

void Http1Connection::begin_linger() {
    state_ = State::lingering;
    heard_ = since_;
    patient_ = environment_.connections.lingering < lingering_max;
    if (patient_) ++environment_.connections.lingering;
    transport_->shutdown_write();
    environment_.deadlines.set(*this, deadline());
}

void Http1Connection::linger() {
    const BufferPtr buffer = environment_.buffers.take();
    for (int pieces = 0; transport_->readable(); ++pieces) {
        if (pieces == linger_pieces_max) return drive_later();
        const Transport::Received received = transport_->receive(buffer->space(), buffer->space_size());
        if (received.status == Transport::Status::blocked) return;
        if (received.status != Transport::Status::ok) return close();
        heard_ = environment_.clock.now();
        lingered_ += received.size;
        if (!patient_ && lingered_ > short_linger_bytes_max) return close();
    }
}

bool Http1Connection::idle_since(Time time) const {
    if (state_ != State::reading || in_ || transport_->readable() || since_ > time) return false;
    return !transport_->is_stale();
}

void Http1Connection::stop() {
    stopping_ = true;
    if (state_ == State::reading && !in_) close();
    if (state_ == State::lingering) environment_.deadlines.set(*this, deadline());
}

void Http1Connection::close() {
    if (state_ == State::closed) return;
    if (patient_) --environment_.connections.lingering;
    state_ = State::closed;
    in_.reset();
    transport_->close();
    environment_.deadlines.clear(*this);
    environment_.connections.closed(*this);
}

}  // namespace havn::gateway
