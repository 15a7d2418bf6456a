// Jobs to a broker over AMQP 0-9-1 with publisher confirms, without the socket: jobs and the broker's bytes
// go in, bytes to send and outcomes come out. Works with Havn's broker and with RabbitMQ.
//
// A waiter is told once, from within publish(), receive() or closed(); it may publish again at once. What was
// not sent waits for a connection. What was sent and not confirmed when a connection ends is sent again on
// the next one under the same message id. While the broker says that it is blocked (connection.blocked), what
// was not sent and what is published anew is answered `blocked`: nothing is handed to a broker that holds it
// back.
//
// A body is sent from where it lies. Bytes that wait to be sent are bounded by out_bytes_max, what the broker
// sends by one frame; jobs are bounded by the budget their bodies were taken from.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gateway/core/policy/memory.h"
#include "wire/amqp/methods.h"

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
    timed_out,   // no confirm in time, and it may have been accepted all the same
};

class JobSender {
    struct Pending;

  public:
    static constexpr std::size_t out_bytes_max = 65536;       // encoded ahead, beside one job's own head
    static constexpr std::size_t copied_body_max = 16384;     // a larger one is sent from where it lies
    static constexpr std::uint32_t frame_bytes_max = 131072;  // that we send and take

    struct Login {
        std::string user, password, vhost;
    };
    class Waiter {
      public:
        virtual void on_published(JobOutcome outcome) = 0;

      protected:
        ~Waiter() = default;

      private:
        friend class JobSender;
        Pending* pending_ = nullptr;
    };
    enum class Sent : std::uint8_t {
        nothing,  // withdrawn: nothing of it left
        part,     // the broker cannot execute it unless this connection goes on
        whole,    // it may be executed
    };

    ~JobSender();
    JobSender() = default;
    JobSender(const JobSender&) = delete;
    JobSender& operator=(const JobSender&) = delete;

    void publish(Job job, Waiter& waiter);

    // The waiter is told nothing any more. How much of its job was sent.
    Sent forget(Waiter& waiter);

    // The connection. opened(): it is there, and an earlier one is not. receive(): an error ends it, and says
    // why; the owner closes its socket and calls closed().
    void opened(const Login& login);
    Result<> receive(std::string_view bytes);
    void closed();
    void add_heartbeat();

    // The next bytes to send: first `head`, then `body`; both empty when there are none now.
    struct Output {
        std::string_view head, body;
    };
    Output output();
    void sent(std::size_t bytes);

    bool ready() const { return state_ == State::ready; }
    bool blocked() const { return blocked_; }
    bool takes_messages() const { return taken_; }  // it confirmed one on this connection, or says so
    const std::string& blocked_reason() const { return blocked_reason_; }
    bool has_waiting() const { return waiting_.count() > 0; }
    std::size_t unconfirmed() const { return unconfirmed_.count(); }
    std::uint16_t heartbeat_seconds() const { return heartbeat_; }  // 0: none

  private:
    enum class State : std::uint8_t { closed, starting, tuning, opening, channel, confirming, ready };
    using PendingPtr = std::unique_ptr<Pending>;

    // Jobs in the order of their numbers; one is found by its number at once.
    class Window {
      public:
        Window();
        ~Window();
        void push_back(PendingPtr pending);
        void push_front(PendingPtr pending);
        PendingPtr take(std::uint64_t number);  // null when it is not there
        std::uint64_t first() const { return first_; }
        std::uint64_t end() const;
        std::size_t count() const { return count_; }
        void restart(std::uint64_t first);  // the window is empty

      private:
        void trim();
        std::deque<PendingPtr> slots_;
        std::uint64_t first_ = 1u << 31;
        std::size_t count_ = 0;
    };

    void encode();
    void encode_one(PendingPtr pending);
    void next_body_frame();
    std::string& control();
    Result<> take_frame(const amqp::Frame& frame);
    Result<> on_method(amqp::MethodId id, std::string_view arguments);
    Result<> on_start();
    Result<> on_tune(std::string_view arguments);
    Result<> on_blocked(std::string_view arguments);
    Result<> on_close(std::string_view arguments, bool of_channel);
    void on_confirm(std::uint64_t tag, bool multiple, JobOutcome outcome);
    void on_returned(std::string_view header_payload);
    void drop(PendingPtr pending);
    static void tell(Pending& pending, JobOutcome outcome);

    State state_ = State::closed;
    Login login_;
    std::string in_;                   // at most one incomplete frame
    std::string out_, control_;        // control frames wait for the end of a body frame
    std::size_t out_sent_ = 0;         // of out_
    std::uint64_t out_position_ = 0;   // of the first unsent byte in all that this connection sends
    Pending* large_ = nullptr;         // its body is sent from where it lies, after out_
    std::size_t large_at_ = 0;         // of its body: what the frame that was begun has still to send
    std::size_t large_frame_end_ = 0;  // of its body: where that frame ends
    std::uint32_t frame_max_ = frame_bytes_max;
    std::uint16_t heartbeat_ = 0;
    bool expecting_return_ = false;  // Basic.Return came, its header follows
    bool blocked_ = false;
    bool taken_ = false;
    std::string blocked_reason_;
    Window waiting_;
    Window unconfirmed_;  // by delivery tag
    std::unordered_map<std::string_view, Pending*> by_id_;
};

}  // namespace havn::gateway
