#include "sim/network.h"

#include <algorithm>
#include <cstring>

namespace havn::sim {

void End::listen(std::function<void(Edge)> on_edge) {
    on_edge_ = std::move(on_edge);
    if (!inbox_.empty() || peer_finished_) note({.readable = true, .peer_finished = peer_finished_});
}

End::Moved End::receive(char* into, std::size_t size) {
    if (state_ == State::closed || state_ == State::broken) return {Status::failed};
    Random& random = network_.scheduler_.random();
    if (random.once_in(network_.faults_.reset_once_in)) {
        reset();
        return {Status::failed};
    }
    if (inbox_.empty()) return {peer_finished_ ? Status::closed : Status::blocked};
    if (random.once_in(network_.faults_.blocked_once_in)) {
        note({.readable = true});
        return {Status::blocked};
    }
    std::size_t taken = std::min(size, inbox_.size());
    if (taken > 1 && random.once_in(network_.faults_.short_receive_once_in)) taken = random.between(1, taken);
    std::memcpy(into, inbox_.data(), taken);
    inbox_.erase(0, taken);
    bytes_received_ += taken;
    make_room(taken);
    return {Status::ok, taken};
}

End::Moved End::send(std::string_view bytes) {
    if (state_ != State::open) return {Status::failed};
    Random& random = network_.scheduler_.random();
    const NetworkFaults& faults = network_.faults_;
    if (random.once_in(faults.reset_once_in)) {
        reset();
        return {Status::failed};
    }
    if (!peer_->open()) {  // its kernel answers with a reset, which this end learns of later
        network_.scheduler_.within(faults.delay_min, faults.delay_max, [this] { arrive_reset(); });
        return {Status::ok, bytes.size()};
    }
    const std::size_t held = peer_->bytes_waiting();
    const std::size_t room = peer_->pipe_bytes_ > held ? peer_->pipe_bytes_ - held : 0;
    if (room == 0) {
        peer_->starved_sender_ = true;
        return {Status::blocked};
    }
    if (random.once_in(faults.blocked_once_in)) {
        note({.writable = true});
        return {Status::blocked};
    }
    std::size_t taken = std::min(bytes.size(), room);
    if (taken > 1 && random.once_in(faults.short_send_once_in)) taken = random.between(1, taken);
    // A sender that was given less than it had looks again when there is room.
    if (taken < bytes.size()) {
        if (taken < room) {
            note({.writable = true});
        } else {
            peer_->starved_sender_ = true;
        }
    }
    bytes_sent_ += taken;
    peer_->in_flight_ += taken;
    const auto spread = static_cast<std::uint64_t>((faults.delay_max - faults.delay_min).count());
    const Duration delay = faults.delay_min + Duration(static_cast<Duration::rep>(random.between(0, spread)));
    peer_->last_arrival_ = std::max(peer_->last_arrival_ + Duration(1), network_.scheduler_.now() + delay);
    network_.scheduler_.at(peer_->last_arrival_,
                           [to = peer_, piece = std::string(bytes.substr(0, taken))] { to->arrive(piece); });
    return {Status::ok, taken};
}

void End::finish() {
    if (state_ != State::open) return;
    state_ = State::finished;
    peer_->last_arrival_ =
        std::max(peer_->last_arrival_ + Duration(1), network_.scheduler_.now() + network_.faults_.delay_min);
    network_.scheduler_.at(peer_->last_arrival_, [to = peer_] { to->arrive_finish(); });
}

void End::reset() {
    if (state_ == State::closed || state_ == State::broken) return;
    state_ = State::broken;
    inbox_.clear();
    note({.readable = true, .writable = true, .broken = true});
    network_.scheduler_.within(network_.faults_.delay_min, network_.faults_.delay_max,
                               [to = peer_] { to->arrive_reset(); });
}

void End::close() {
    if (state_ == State::closed) return;
    if (state_ != State::broken) {
        if (inbox_.empty()) {  // what arrives from now on is answered with a reset, see arrive()
            finish();
        } else {
            reset();
        }
    }
    state_ = State::closed;
    on_edge_ = nullptr;
    inbox_.clear();
}

void End::arrive(std::string bytes) {
    in_flight_ -= bytes.size();
    if (state_ == State::broken) return;
    if (state_ == State::closed) {  // nobody reads it: the kernel answers with a reset
        return peer_->arrive_reset();
    }
    inbox_ += bytes;
    note({.readable = true});
}

void End::arrive_finish() {
    peer_finished_ = true;
    note({.readable = true, .peer_finished = true});
}

void End::arrive_reset() {
    if (state_ == State::closed || state_ == State::broken) return;
    state_ = State::broken;
    inbox_.clear();
    note({.readable = true, .writable = true, .broken = true});
}

// Told later, and together with what changes until then.
void End::note(Edge edge) {
    edge_.readable |= edge.readable;
    edge_.writable |= edge.writable;
    edge_.peer_finished |= edge.peer_finished;
    edge_.broken |= edge.broken;
    if (edge_pending_ || !on_edge_) return;
    edge_pending_ = true;
    network_.scheduler_.within(Duration::zero(), microseconds(200), [this] {
        edge_pending_ = false;
        if (state_ == State::closed || !on_edge_) return;
        const auto on_edge = on_edge_;  // the call may close this end, or listen anew
        on_edge(std::exchange(edge_, Edge{}));
    });
}

void End::make_room(std::size_t bytes) {
    if (bytes == 0 || !starved_sender_) return;
    starved_sender_ = false;
    peer_->note({.writable = true});
}

std::pair<End*, End*> Network::connect() {
    End* const one = ends_.emplace_back(new End(*this)).get();
    End* const other = ends_.emplace_back(new End(*this)).get();
    one->peer_ = other;
    other->peer_ = one;
    for (End* end : {one, other}) {
        end->pipe_bytes_ = scheduler_.random().between(faults_.pipe_bytes_min, faults_.pipe_bytes_max);
        end->last_arrival_ = scheduler_.now();
    }
    return {one, other};
}

std::size_t Network::open_ends() const {
    return static_cast<std::size_t>(std::ranges::count_if(ends_, [](const auto& end) {
        return end->state_ == End::State::open || end->state_ == End::State::finished;
    }));
}

}  // namespace havn::sim
