// Jobs on their way to a broker, without the socket: jobs and the broker's bytes go in, bytes to send and
// outcomes come out. What AMQP is stands in amqp/client; what a job is stands here.
//
// A waiter is told once, from within publish(), receive() or closed(); it may publish again at once. What was
// not sent waits for a connection. What was sent and not confirmed when a connection ends is sent again on
// the next one under the same message id, in its order; as it may have been accepted before, it is never
// answered that it was not. While the broker says that it is blocked (connection.blocked), what was never
// sent and what is published anew is answered `blocked`: nothing is handed to a broker that holds it back.
// The broker closing the channel refuses what was sent and ends the connection.
//
// give_up() decides what a job is that was not confirmed in time: withdrawn, when it will certainly not be
// executed any more, or one that may have been.
//
// A body is sent from where it lies. Bytes that wait to be sent are bounded by out_bytes_max, what the broker
// sends by one frame; jobs are bounded by the budget their bodies were taken from. The owner does the I/O and
// keeps the time; a waiter outlives its job or is forgotten. One thread. Works with Havn's broker and with
// RabbitMQ.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "amqp/client/channel.h"
#include "amqp/client/connection.h"
#include "base/error.h"
#include "base/time.h"
#include "gateway/core/policy/memory.h"

namespace havn::gateway {

struct Job {
    explicit Job(HeldBytes the_body) : body(std::move(the_body)) {}

    std::string id, queue, content_type;
    std::vector<std::pair<std::string, std::string>> headers;
    HeldBytes body;
};

enum class JobOutcome : std::uint8_t {
    confirmed,
    unroutable,  // returned: there is no such queue
    refused,     // nacked, or the broker closed the channel over it
    blocked,     // the broker takes no messages now: it was not sent
    withdrawn,   // no confirm in time, and it will not be executed
    timed_out,   // no confirm, and it may have been accepted all the same
};

class JobSender final : amqp::client::ConnectionHandler, amqp::client::ChannelHandler {
    struct Pending;

  public:
    static constexpr std::size_t out_bytes_max = 65536;       // encoded ahead, beside one job's own head
    static constexpr std::uint32_t frame_bytes_max = 131072;  // that we send and take

    using Login = amqp::client::Login;
    using Output = amqp::client::Output::Pieces;

    class Waiter {
      public:
        virtual void on_published(JobOutcome outcome) = 0;

      protected:
        ~Waiter() = default;

      private:
        friend class JobSender;
        Pending* pending_ = nullptr;  // owned by the sender; null: told, or forgotten
    };
    enum class Sent : std::uint8_t {
        nothing,  // withdrawn: nothing of it left
        part,     // the broker cannot execute it unless this connection goes on
        whole,    // on this connection: it may be executed
        before,   // whole, on an earlier connection: it may have been executed
    };

    JobSender();
    ~JobSender();
    JobSender(const JobSender&) = delete;
    JobSender& operator=(const JobSender&) = delete;

    void publish(Job job, Waiter& waiter);

    // The waiter is told nothing any more. How much of its job was sent.
    Sent forget(Waiter& waiter);

    // Forgets a waiter whose job was published at `asked` and is not confirmed at `now`. withdrawn: it will
    // not be executed, provided that the connection is ended where end_because says so (else it is empty).
    // One that was told already is not withdrawn, and its connection goes on. `peer_has_unread`: bytes that
    // were sent still lie with the peer's kernel; asked for where is_silent_since() holds.
    struct GivenUp {
        bool withdrawn = false;
        std::string_view end_because = {};
    };
    GivenUp give_up(Waiter& waiter, Time asked, Time now, bool peer_has_unread);
    bool is_silent_since(Time asked) const { return connection_.last_received() <= asked; }

    // The connection. wants_connection(): there are jobs, and the pause after the last failure is over.
    // opened(): it is there, and an earlier one is not. receive() and on_time(): an error ends it, and says
    // why; the owner closes its socket and calls closed(), as it does when the socket fails or never
    // connects. on_time() is called when due() has come, which any call may change.
    bool wants_connection(Time now) const { return has_waiting() && now >= retry_at_; }
    void opened(const Login& login, Time now);
    Result<> receive(std::string_view bytes, Time now);
    void closed(Time now);
    Time due() const { return connection_.due(); }
    Result<> on_time(Time now) { return connection_.on_time(now); }

    // The next bytes to send: first `head`, then `body`; both empty when there are none now.
    Output output();
    void sent(std::size_t bytes) { connection_.sent(bytes); }

    bool ready() const { return ready_; }
    bool blocked() const { return connection_.is_blocked(); }
    bool takes_messages() const { return taken_; }  // it confirmed one on this connection, or says so
    const std::string& blocked_reason() const { return blocked_reason_; }
    bool has_waiting() const { return !waiting_.empty(); }
    std::size_t unconfirmed() const { return sent_.size(); }
    unsigned failures() const { return failures_; }  // connections that ended since the last that was ready
    Time retry_at() const { return retry_at_; }

  private:
    using Jobs = std::list<Pending>;

    void on_connected() override;
    void on_blocked(std::string_view reason) override;
    void on_unblocked() override;
    void on_open() override;
    void on_closed(const Error& why) override;
    void on_reply(const amqp::client::Reply& reply) override;
    void on_confirm(std::uint64_t context, bool accepted) override;
    void on_returned(const amqp::client::Returned& returned) override;
    void on_body_sent(std::uint64_t context, std::uint64_t end) override;

    void send_waiting();
    bool send_first();
    void refuse_sent();
    void drop(Pending& pending);
    static void move(Pending& pending, Jobs& to);  // to its end
    static void answer(Pending& pending, JobOutcome outcome);
    void answer_all(Jobs& jobs, JobOutcome outcome);

    amqp::client::Connection connection_;
    amqp::client::Channel channel_;
    Jobs waiting_;  // not sent
    Jobs sent_;     // and not confirmed, in their order
    std::unordered_map<std::string_view, Pending*> by_id_;
    std::string unread_;  // of the broker's bytes: at most one incomplete frame
    std::optional<Error> channel_closed_;
    bool ready_ = false;
    bool taken_ = false;
    std::string blocked_reason_;
    unsigned failures_ = 0;
    Time retry_at_{};
};

}  // namespace havn::gateway
