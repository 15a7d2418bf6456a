#include "broker/shell/server.h"

#include <malloc.h>

#include <algorithm>

#include "base/log.h"
#include "io/clock.h"
#include "io/host.h"

namespace havn::broker {

namespace {

constexpr std::uint64_t memory_bytes_least = 64u << 20;
constexpr std::uint64_t worth_giving_back_bytes = 32u << 20;
constexpr Duration between_trims = seconds(10);
constexpr std::size_t connections_for_the_gateway = 64;  // beyond the limit

Log::Options log_options(io::Loop& loop, std::function<void()> written) {
    Log::Options options;
    options.written = [&loop, written = std::move(written)] { loop.post(written); };
    return options;
}

}  // namespace

Server::Server(io::Loop& loop, std::unique_ptr<Storage> storage, const Config& config)
    : loop_(loop),
      log_(std::move(storage), log_options(loop, [this] { on_log_written(); })),
      broker_(config, log_, *this, io::now(), io::wall_now()),
      first_config_(config),
      tick_(loop.executor()),
      deadline_{io::Timer(loop.executor())} {}

Server::~Server() {
    end_all();
}

void Server::end_all() {
    touched_.clear();
    waiting_.clear();
    resumable_.clear();
    const Time now = io::now();
    while (!clients_.empty()) forget(clients_.begin()->second, now);
}

Result<> Server::open() {
    if (Result<> recovered = log_.recover(broker_.recovery()); !recovered) return recovered;
    for (const std::string& name : broker_.parked_queues()) {
        log::error(
            "queue '{}': this version does not understand how it was declared; its messages are kept and "
            "not served. Declare it anew and restart the broker, or start the version that wrote it",
            name);
    }
    if (Result<> applied = apply(first_config_); !applied) log::warning("{}", applied.error().text());
    tick();
    return {};
}

Result<> Server::apply(const Config& config) {
    const std::size_t buffer = read_bytes + config.frame_bytes_max + 8;  // new bytes, after part of a frame
    if (buffer > read_buffer_.size) {
        read_buffer_.bytes = std::make_unique_for_overwrite<char[]>(buffer);
        read_buffer_.size = buffer;
    }
    Config wanted = config;
    if (wanted.memory_bytes == 0) wanted.memory_bytes = io::host_memory_bytes() / 4;
    wanted.memory_bytes = std::max(wanted.memory_bytes, memory_bytes_least);
    wanted.memory_bytes_for_content = std::min(wanted.memory_bytes_for_content, wanted.memory_bytes / 2);
    Result<> applied = broker_.apply(wanted);
    end_turn_soon();
    return applied;
}

Result<std::uint64_t> Server::purge(std::string_view vhost, std::string_view queue) {
    Result<std::uint64_t> purged = broker_.purge(vhost, queue);
    end_turn_soon();
    return purged;
}

void Server::add_connection(io::StreamSocket socket, Connection::Peer peer) {
    if (stop_.begun || !has_place_for(peer)) return;
    auto client = std::make_shared<ClientSocket>(*this, std::move(socket), std::move(peer), io::now());
    clients_[&client->connection()] = client;
    client->start();
}

// A refused client is told nothing but the end: there is no word for it before a log-in.
bool Server::has_place_for(const Connection::Peer& peer) {
    const std::size_t apart = peer.gateway ? connections_for_the_gateway : 0;
    const std::size_t most = connections_max();
    if (clients_.size() < most + apart) {
        if (clients_.size() < most - most / 20) places_.logged_full = false;
        return true;
    }
    ++places_.refused;
    if (!places_.logged_full) {
        log::warning(
            "{} connections, the most there may be: new ones are refused; [broker] max_connections or the "
            "limit "
            "of open files (ulimit -n) is to be raised",
            clients_.size());
    }
    places_.logged_full = true;
    return false;
}

void Server::wake(Connection& connection) {
    const auto found = clients_.find(&connection);
    if (found != clients_.end()) touch(*found->second);
}

void Server::touch(ClientSocket& client) {
    if (client.on.touched) return;
    client.on.touched = true;
    touched_.push_back(client.shared_from_this());
    end_turn_soon();
}

void Server::resume_later(ClientSocket& client) {
    if (client.on.resumable) return;
    client.on.resumable = true;
    resumable_.push_back(client.shared_from_this());
    if (!reading_is_held()) end_turn_soon();
}

// Behind everything that is ready now: Asio runs what is posted after what the kernel has just reported.
void Server::end_turn_soon() {
    if (turn_ends_soon_ || stop_.done) return;
    turn_ends_soon_ = true;
    loop_.post([this] { end_turn(); });
}

void Server::end_turn() {
    turn_ends_soon_ = false;
    if (stop_.done || log_.failure()) return;
    const Time now = io::now();
    if (broker_.next_deadline() <= now) broker_.on_time(now, io::wall_now());
    if (!reading_is_held()) {
        std::vector<ClientSocketPtr> again;
        again.swap(resumable_);
        for (const ClientSocketPtr& client : again) {
            client->on.resumable = false;
            client->resume(now);
        }
    }
    serve_touched(now);
    log_alarm();
    log_.flush(waited_for_);
    await_broker_deadline();
    if (stop_.begun && clients_.empty()) finish_stop();
}

void Server::serve_touched(Time now) {
    std::vector<ClientSocketPtr> serving;
    serving.swap(touched_);
    for (const ClientSocketPtr& client : serving) {
        client->on.touched = false;
        client->send(now);
        if (client->finished()) {
            forget(client, now);
        } else {
            note_waiting(client);
        }
    }
}

void Server::note_waiting(const ClientSocketPtr& client) {
    const LogPosition position = client->connection().waits_for();
    if (position == 0) return;
    if (position <= log_.durable()) {  // nothing will be written on its account
        client->connection().on_durable(log_.durable());
        return touch(*client);
    }
    waited_for_ = std::max(waited_for_, position);
    if (client->on.waiting) return;
    client->on.waiting = true;
    waiting_.push_back(client);
}

void Server::forget(const ClientSocketPtr& client, Time now) {
    const ClientSocketPtr kept = client;
    if (clients_.erase(&kept->connection()) == 0) return;
    const std::string_view reason = kept->connection().close_reason();
    if (!reason.empty()) log::info("{}: {}", kept->connection().peer().address, reason);
    kept->drop(now);
}

void Server::on_log_written() {
    if (stop_.done) return;
    log_.completed();
    if (log_.failure()) {
        stop_.done = true;
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
    std::erase_if(waiting_, [&](const ClientSocketPtr& client) {
        Connection& connection = client->connection();
        if (!client->finished() && connection.waits_for() != 0) {
            connection.on_durable(durable);
            touch(*client);
        }
        if (!client->finished() && connection.waits_for() != 0) return false;
        client->on.waiting = false;
        return true;
    });
}

void Server::hold_publishers_back_if_full() {
    if (log_.held_back() == held_back_) return;
    held_back_ = !held_back_;
    broker_.set_alarm(held_back_ ? "the broker's disk is full" : "");
    end_turn_soon();
}

// Whoever reads the log sees when publishers were held back, why, and for how long.
void Server::log_alarm() {
    const std::string& alarm = broker_.alarm();
    if (alarm == logged_alarm_.text) return;
    const Time now = io::now();
    if (!logged_alarm_.text.empty()) {
        const auto lasted = std::chrono::duration_cast<seconds>(now - logged_alarm_.since);
        log::info("over after {} s: {}", lasted.count(), logged_alarm_.text);
    }
    logged_alarm_.since = now;
    logged_alarm_.text = alarm;
    if (alarm.empty()) return;
    log::warning("{}: publishers are held back until that is over (memory used: {} of {} MiB)", alarm,
                 broker_.memory_used() >> 20, broker_.config().memory_bytes >> 20);
}

// A drained backlog leaves its memory with the allocator; the host is to have it.
void Server::give_memory_back(Time now) {
    const std::uint64_t used = broker_.memory_used();
    trim_.peak_bytes = std::max(trim_.peak_bytes, used);
    if (trim_.peak_bytes - used < worth_giving_back_bytes || now - trim_.at < between_trims) return;
    trim_.peak_bytes = used;
    trim_.at = now;
    ::malloc_trim(0);
}

// The timer is moved forward only; when it fires early it is set again.
void Server::await_broker_deadline() {
    const Time next = broker_.next_deadline();
    if (next >= deadline_.due) return;
    deadline_.due = next;
    deadline_.timer.expires_at(next);
    deadline_.timer.async_wait([this](io::ErrorCode error) {
        if (error) return;
        deadline_.due = Time::max();
        end_turn();
    });
}

// Once a second: what nobody waits for is synced, heartbeats are looked after.
void Server::tick() {
    const Time now = io::now();
    hold_publishers_back_if_full();
    log_alarm();
    give_memory_back(now);
    log_.flush_all();
    places_.not_read = 0;
    for (const auto& [connection, client] : clients_) {
        client->on_tick(now);
        if (connection->choked()) ++places_.not_read;
    }
    if (now >= stop_.deadline) return finish_stop();
    tick_.expires_at(std::min(now + seconds(1), stop_.deadline));
    tick_.async_wait([this](io::ErrorCode error) {
        if (!error && !stop_.done) tick();
    });
}

void Server::stop(Duration patience) {
    if (stop_.begun) return;
    stop_.begun = true;
    const Time now = io::now();
    stop_.deadline = now + patience;
    for (const auto& [connection, client] : clients_) {
        client->connection().shut_down("the broker is being stopped", now);
        touch(*client);
    }
    end_turn_soon();
    tick_.cancel();
    tick();
}

void Server::finish_stop() {
    if (stop_.done) return;
    end_all();
    log_.close();
    stop_.done = true;
    tick_.cancel();
    deadline_.timer.cancel();
    if (on_stopped) on_stopped();
}

}  // namespace havn::broker
