#include "broker/shell/server.h"

#include <algorithm>

#include "base/log.h"
#include "io/clock.h"

namespace havn::broker {

static Log::Options log_options(io::Loop& loop, std::function<void()> written) {
    Log::Options options;
    options.written = [&loop, written = std::move(written)] { loop.post(written); };
    return options;
}

Server::Server(io::Loop& loop, std::unique_ptr<Storage> storage, const Config& config)
    : loop_(loop),
      log_(std::move(storage), log_options(loop, [this] { on_log_written(); })),
      broker_(config, log_, *this, io::now(), io::wall_now()),
      first_config_(config),
      tick_(loop.executor()),
      deadline_timer_(loop.executor()) {}

Server::~Server() {
    end_all();
}

void Server::end_all() {
    touched_.clear();
    waiting_.clear();
    resumable_.clear();
    const Time now = io::now();
    while (!connections_.empty()) forget(connections_.begin()->second, now);
}

Result<> Server::open() {
    if (Result<> recovered = log_.recover(broker_); !recovered) return recovered;
    apply(first_config_);
    tick();
    return {};
}

void Server::apply(const Config& config) {
    const std::size_t wanted = read_bytes + config.frame_bytes_max + 8;  // new bytes, after part of a frame
    if (wanted > read_buffer_bytes_) {
        read_buffer_ = std::make_unique_for_overwrite<char[]>(wanted);
        read_buffer_bytes_ = wanted;
    }
    broker_.apply(config);
    end_turn_soon();
}

Result<std::uint64_t> Server::purge(std::string_view queue) {
    Result<std::uint64_t> purged = broker_.purge(queue);
    end_turn_soon();
    return purged;
}

void Server::add_connection(io::StreamSocket socket, Session::Peer peer) {
    if (stopping_) return;
    auto connection = std::make_shared<Connection>(*this, std::move(socket), std::move(peer), io::now());
    connections_[&connection->session()] = connection;
    connection->start();
}

void Server::wake(Session& session) {
    const auto found = connections_.find(&session);
    if (found != connections_.end()) touch(*found->second);
}

void Server::touch(Connection& connection) {
    if (connection.touched) return;
    connection.touched = true;
    touched_.push_back(connection.shared_from_this());
    end_turn_soon();
}

void Server::resume_later(Connection& connection) {
    resumable_.push_back(connection.shared_from_this());
    if (!reading_is_held() && !connection.session().paused()) end_turn_soon();
}

// Behind everything that is ready now: Asio runs what is posted after what the kernel has just reported.
void Server::end_turn_soon() {
    if (turn_ends_soon_ || stopped_) return;
    turn_ends_soon_ = true;
    loop_.post([this] { end_turn(); });
}

void Server::end_turn() {
    turn_ends_soon_ = false;
    if (stopped_ || log_.failure()) return;
    const Time now = io::now();
    if (broker_.next_deadline() <= now) broker_.on_time(now, io::wall_now());
    if (!reading_is_held()) {
        std::vector<ConnectionPtr> again;
        again.swap(resumable_);
        for (const ConnectionPtr& connection : again) connection->resume(now);
    }
    serve_touched(now);
    log_.flush(waited_for_);
    await_broker_deadline();
    if (stopping_ && connections_.empty()) finish_stop();
}

void Server::serve_touched(Time now) {
    std::vector<ConnectionPtr> serving;
    serving.swap(touched_);
    for (const ConnectionPtr& connection : serving) {
        connection->touched = false;
        connection->send(now);
        if (connection->finished()) {
            forget(connection, now);
        } else {
            note_waiting(connection);
        }
    }
}

void Server::note_waiting(const ConnectionPtr& connection) {
    const LogPosition position = connection->session().waits_for();
    if (position == 0) return;
    if (position <= log_.durable()) {  // nothing will be written on its account
        connection->session().on_durable(log_.durable());
        return touch(*connection);
    }
    waited_for_ = std::max(waited_for_, position);
    if (connection->waiting) return;
    connection->waiting = true;
    waiting_.push_back(connection);
}

void Server::forget(const ConnectionPtr& connection, Time now) {
    const ConnectionPtr kept = connection;
    if (connections_.erase(&kept->session()) == 0) return;
    const std::string_view reason = kept->session().close_reason();
    if (!reason.empty()) log::info("{}: {}", kept->session().peer().address, reason);
    kept->drop(now);
}

void Server::on_log_written() {
    if (stopped_) return;
    log_.completed();
    if (log_.failure()) {
        stopped_ = true;
        end_all();
        if (on_stopped) on_stopped();
        return;
    }
    hold_publishers_back_if_full();
    release_waiting();
    end_turn();
}

void Server::release_waiting() {
    const LogPosition durable = log_.durable();
    std::erase_if(waiting_, [&](const ConnectionPtr& connection) {
        Session& session = connection->session();
        if (!connection->finished() && session.waits_for() != 0) {
            session.on_durable(durable);
            touch(*connection);
        }
        if (!connection->finished() && session.waits_for() != 0) return false;
        connection->waiting = false;
        return true;
    });
}

void Server::hold_publishers_back_if_full() {
    if (log_.held_back() == held_back_) return;
    held_back_ = !held_back_;
    broker_.set_alarm(held_back_ ? "the broker's disk is full" : "");
    end_turn_soon();
}

// The timer is moved forward only; when it fires early it is set again.
void Server::await_broker_deadline() {
    const Time next = broker_.next_deadline();
    if (next >= deadline_) return;
    deadline_ = next;
    deadline_timer_.expires_at(next);
    deadline_timer_.async_wait([this](io::ErrorCode error) {
        if (error) return;
        deadline_ = Time::max();
        end_turn();
    });
}

// Once a second: what nobody waits for is synced, heartbeats are looked after.
void Server::tick() {
    const Time now = io::now();
    hold_publishers_back_if_full();
    log_.flush_all();
    for (const auto& [session, connection] : connections_) {
        if (connection->session().next_deadline() > now) continue;
        connection->session().on_time(now);
        touch(*connection);
    }
    if (now >= stop_deadline_) return finish_stop();
    tick_.expires_at(std::min(now + seconds(1), stop_deadline_));
    tick_.async_wait([this](io::ErrorCode error) {
        if (!error && !stopped_) tick();
    });
}

void Server::stop(Duration patience) {
    if (stopping_) return;
    stopping_ = true;
    const Time now = io::now();
    stop_deadline_ = now + patience;
    for (const auto& [session, connection] : connections_) {
        connection->session().shut_down("the broker is being stopped", now);
        touch(*connection);
    }
    end_turn_soon();
    tick_.cancel();
    tick();
}

void Server::finish_stop() {
    if (stopped_) return;
    end_all();
    log_.close();
    stopped_ = true;
    tick_.cancel();
    deadline_timer_.cancel();
    if (on_stopped) on_stopped();
}

}  // namespace havn::broker
