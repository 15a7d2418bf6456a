// The broker's loop: connections, the log and the clock around the core.
//
// Everything that happens touches connections; at the end of the loop turn their output leaves and the log is
// flushed once, for all that wait. When the log is durable further, what waited goes out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/broker.h"
#include "broker/core/connection.h"
#include "broker/log/log.h"
#include "broker/shell/client_socket.h"
#include "io/loop.h"

namespace havn::broker {

class Server final : public Waker {
  public:
    static constexpr std::size_t read_bytes = 256u << 10;  // from one client before the next has its turn

    Server(io::Loop& loop, std::unique_ptr<Storage> storage, const Config& config);
    ~Server() override;

    // Recovers the log and puts the configuration in force. Once, first.
    Result<> open();

    void add_connection(io::StreamSocket socket, Connection::Peer peer);
    Result<> apply(const Config& config);  // Error::conflict as Broker::apply
    Result<std::uint64_t> purge(std::string_view vhost, std::string_view queue);

    // Says good-bye to all, waits up to `patience` for their answers, syncs the log; then stopped() holds.
    void stop(Duration patience);
    bool stopped() const { return stopped_; }
    const std::optional<Error>& failure() const { return log_.failure(); }
    std::function<void()> on_stopped;  // also when the log has failed

    // What is beyond it is refused. Connections of this host's own gateway, by Unix socket, have a share
    // apart.
    void set_descriptors_for_connections(std::size_t max) { descriptors_max_ = max; }
    std::size_t connections_max() const {
        return std::min<std::size_t>(descriptors_max_, broker_.config().connections_max);
    }
    std::uint64_t connections_refused() const { return connections_refused_; }
    // Those that leave so much unread that nothing they send is read; as of the last second.
    std::uint64_t connections_not_read() const { return connections_not_read_; }

    Broker& broker() { return broker_; }
    const Log& log() const { return log_; }
    std::size_t connections() const { return clients_.size(); }

    // For connections.
    void wake(Connection& connection) override;
    void touch(ClientSocket& client);
    void resume_later(ClientSocket& client);
    bool reading_is_held() const {
        return log_.behind() && !held_back_;
    }  // acks are read on a full disk, too
    bool stopping() const { return stopping_; }
    std::span<char> read_buffer() { return {read_buffer_.get(), read_buffer_bytes_}; }

  private:
    using ClientSocketPtr = std::shared_ptr<ClientSocket>;

    void end_turn_soon();
    void end_turn();
    void serve_touched(Time now);
    void note_waiting(const ClientSocketPtr& client);
    void forget(const ClientSocketPtr& client, Time now);
    void on_log_written();
    void release_waiting();
    void hold_publishers_back_if_full();
    void note_alarm();
    void give_memory_back(Time now);
    bool has_place_for(const Connection::Peer& peer);
    void await_broker_deadline();
    void tick();
    void finish_stop();
    void end_all();

    io::Loop& loop_;
    Log log_;
    Broker broker_;
    Config first_config_;
    std::unordered_map<const Connection*, ClientSocketPtr> clients_;  // by their connection
    std::vector<ClientSocketPtr> touched_, waiting_, resumable_;
    std::unique_ptr<char[]> read_buffer_;
    std::size_t read_buffer_bytes_ = 0;
    LogPosition waited_for_ = 0;
    std::size_t descriptors_max_ = SIZE_MAX;
    std::uint64_t connections_refused_ = 0, connections_not_read_ = 0;
    bool said_full_ = false;  // that connections are refused
    std::string said_alarm_;  // the alarm the log was last told of
    Time alarm_since_{};
    std::uint64_t memory_peak_ = 0;  // since memory was last given back
    Time trimmed_at_{};
    bool turn_ends_soon_ = false, held_back_ = false, stopping_ = false, stopped_ = false;
    Time stop_deadline_ = Time::max();
    io::Timer tick_, deadline_timer_;
    Time deadline_ = Time::max();  // what deadline_timer_ waits for
};

}  // namespace havn::broker
