// One request and its response, from a complete head to the last byte.
//
// Both bodies stream through one buffer per direction: the next piece is read only when the last one has
// left, so a slow reader slows its writer and memory stays bounded. Every path ends in finish().
//
// While bytes are relayed, a step moves some of them and says what it found; it ends nothing. relay() alone
// acts on that, in conclude(), so that no step goes on with an upstream or a client that is gone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/core/http1/body.h"
#include "gateway/core/policy/retry.h"
#include "gateway/core/publisher.h"
#include "gateway/core/turn/buffer.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/core/turn/ids.h"
#include "gateway/shell/client.h"
#include "gateway/shell/tables.h"
#include "gateway/shell/upstream.h"
#include "wire/http1/arrival.h"
#include "wire/http1/framing.h"

namespace havn::gateway {

class Worker;

class Exchange : public Timer, public Publisher::Waiter {
  public:
    explicit Exchange(Worker& worker);
    virtual ~Exchange() = default;

    // `in` begins with the head's `head_bytes`; the body may follow, and further requests.
    void begin(Client& client, BufferPtr in, const http1::RequestHead& head, std::size_t head_bytes);

    // A head that is not to be served. The connection ends after the answer.
    void begin_refused(Client& client, BufferPtr in, std::uint16_t status, std::string_view why);

    // Does what can be done now; calls Client::exchange_over() when it was the last.
    void run();
    void drive() { client_->drive(); }

    void on_deadline() override;
    void client_lost();
    void on_published(Publisher::Outcome outcome) override;

    // Ready for another request.
    void reset();

  private:
    enum class Phase : std::uint8_t {
        connecting,
        relaying,
        tunnelling,
        collecting,
        publishing,
        answering,
        over
    };

    // What became of taking a piece of the request's body.
    enum class Take : std::uint8_t {
        piece,
        wait,         // for more from the client
        half_closed,  // a tunnel's client has said everything
        client_gone,
        refused,  // it breaks body_rule_
    };

    // What a step of relaying found.
    enum class Step : std::uint8_t {
        moved,    // something changed: look at both directions again
        waiting,  // nothing to do without another event
        // The rest ends the attempt or the exchange.
        complete,      // all of the response was sent
        client_gone,   // the client is lost
        body_refused,  // the request's body breaks body_rule_
        closed,        // the upstream is gone and no final head was passed on
        malformed,     // the upstream's answer is refused and no final head was passed on
        babble,        // the upstream's interim responses take no end
        broken,        // the same after a final head was passed on: it cannot be completed
    };

    // exchange.cc: routing, choosing an endpoint, failing
    void note_known(const http1::RequestHead& head);
    Time due() const;
    void guard();
    bool client_owes_body() const;
    void route();
    void start_upstream();
    bool try_endpoint(Endpoint& endpoint, bool fresh);
    bool connected();
    [[nodiscard]] bool prepare_upstream_head();
    void attempt_failed(Failure failure);
    void give_up_attempt(bool reusable);
    void answer_failure(Failure failure);

    // exchange_relay.cc: bytes in both directions
    void relay();
    void conclude(Step step);
    void complete_response();
    Socket::Status send(Socket& socket, Outgoing& outgoing);
    [[nodiscard]] Step upload();
    [[nodiscard]] Take take_body_piece(std::string_view& piece);
    [[nodiscard]] Take receive_body();
    void body_stopped(Take taken);
    [[nodiscard]] Step download();
    [[nodiscard]] Step receive_response();
    [[nodiscard]] Step upstream_ended(bool orderly);
    [[nodiscard]] Step read_response_head();
    [[nodiscard]] Step forward_interim(const http1::ResponseHead& head, const http1::ResponseFacts& facts,
                                       std::string_view raw);
    [[nodiscard]] Step forward_head(const http1::ResponseHead& head, http1::ResponseFacts facts,
                                    std::string_view raw);
    [[nodiscard]] Step begin_tunnel(const http1::ResponseHead& head, const http1::ResponseFacts& facts,
                                    std::string_view raw);
    [[nodiscard]] Step forward_body();

    // exchange_answer.cc: what the gateway says itself, queue routes, the end
    struct Answer {
        std::uint16_t status = 200;
        std::string_view type = "application/json";
        std::string_view body;
        std::string_view extra;  // whole header lines
    };
    void answer(const Answer& what);
    void answer_error(std::uint16_t status, std::string_view cause, std::string_view message,
                      std::string_view extra = {});
    void run_answer();
    void collect();
    void answer_out_of_memory();
    void publish();
    void settle_job(Publisher::Outcome outcome);
    void finish(Client::After after);
    void cut();
    void record();

    Worker& worker_;
    Client* client_ = nullptr;
    std::shared_ptr<const Tables> tables_;
    const RouteEntry* entry_ = nullptr;

    // The request.
    BufferPtr in_;  // its head, which everything below points into
    std::vector<http1::Header> headers_;
    http1::RequestHead head_;
    http1::RequestFacts facts_;
    std::string_view raw_;
    Id id_;                        // of the job, too
    std::string_view request_id_;  // the client's, or else `id_`
    Time started_{};
    Time total_deadline_{};    // max() when the route has none
    Time connect_deadline_{};  // of this attempt
    Time progressed_{};        // when a byte last came or went, or an attempt began
    Time guarded_until_{};     // where the entry among the deadlines stands
    Body request_body_;
    std::string_view first_piece_;  // of the body: what came with the head, as it is sent
    BufferPtr body_in_;             // further pieces
    http1::Rule body_rule_ = http1::Rule::none;

    // The way up.
    std::vector<std::uint64_t> tried_;  // ids: an endpoint that left the table is gone
    Endpoint* endpoint_ = nullptr;
    std::unique_ptr<UpstreamConnection> upstream_;
    std::string upstream_address_;  // for the log, when the endpoint is gone
    Outgoing up_;
    BufferPtr up_head_;

    // The way down.
    Outgoing down_;
    BufferPtr down_head_;
    BufferPtr down_in_;
    http1::HeadArrival arrival_{http1::HeadArrival::Of::response};  // of the head in `down_in_`
    Body response_body_;
    std::uint16_t status_ = 0;
    unsigned interims_ = 0;  // responses before the final one, passed on or not

    // Queue routes and answers of our own.
    HeldBytes held_;  // the body, until it is whole
    std::string payload_;
    std::string answer_body_;
    std::string_view cause_;

    Phase phase_ = Phase::over;
    Failure last_failure_ = Failure::none;
    bool body_read_on_ = false;     // more than the first piece was read
    bool bytes_sent_ = false;       // to the upstream, in this attempt
    bool upload_over_ = false;      // nothing more goes up
    bool upload_complete_ = false;  // all of it went up
    bool response_begun_ = false;   // a final head was written
    bool client_served_ = false;    // any byte of a response was written
    bool upstream_keep_alive_ = false;
    bool close_after_ = false;
    bool reset_on_cut_ = false;  // the body's end is the connection's end
    bool fallback_used_ = false;
    bool event_stream_ = false;
};

}  // namespace havn::gateway
