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
    bool stopped() const { return stop_.done; }
    const std::optional<Error>& failure() const { return log_.failure(); }
    std::function<void()> on_stopped;  // also when the log has failed

    // What is beyond it is refused. Connections of this host's own gateway, by Unix socket, have a share
    // apart.
    void set_descriptors_for_connections(std::size_t max) { places_.descriptors_max = max; }
    std::size_t connections_max() const {
        return std::min<std::size_t>(places_.descriptors_max, broker_.config().connections_max);
    }
    std::uint64_t connections_refused() const { return places_.refused; }
    // Those that leave so much unread that nothing they send is read; as of the last second.
    std::uint64_t connections_not_read() const { return places_.not_read; }

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
    bool stopping() const { return stop_.begun; }
    std::span<char> read_buffer() { return {read_buffer_.bytes.get(), read_buffer_.size}; }

  private:
    using ClientSocketPtr = std::shared_ptr<ClientSocket>;

    struct ReadBuffer {
        std::unique_ptr<char[]> bytes;
        std::size_t size = 0;
    };
    struct Places {  // of connections
        std::size_t descriptors_max = SIZE_MAX;
        std::uint64_t refused = 0, not_read = 0;
        bool logged_full = false;  // that connections are refused
    };
    struct LoggedAlarm {  // what the log was last told
        std::string text;
        Time since{};
    };
    struct Trim {
        std::uint64_t peak_bytes = 0;  // since memory was last given back
        Time at{};
    };
    struct Stop {
        bool begun = false, done = false;
        Time deadline = Time::max();
    };
    struct BrokerTimer {
        io::Timer timer;
        Time due = Time::max();  // what the timer waits for
    };

    void end_turn_soon();
    void end_turn();
    void serve_touched(Time now);
    void note_waiting(const ClientSocketPtr& client);
    void forget(const ClientSocketPtr& client, Time now);
    void on_log_written();
    void release_waiting();
    void hold_publishers_back_if_full();
    void log_alarm();
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
    ReadBuffer read_buffer_;  // one for all: what a connection does not eat at once it keeps
    LogPosition waited_for_ = 0;
    Places places_;
    LoggedAlarm logged_alarm_;
    Trim trim_;
    Stop stop_;
    bool turn_ends_soon_ = false;
    bool held_back_ = false;  // publishers, by the disk
    io::Timer tick_;
    BrokerTimer deadline_;
};

}  // namespace havn::broker
