// One request on an HTTP/1 connection, and the response to it: the downstream of a transaction.
//
// It belongs to its connection for as long as the request takes, and writes heads and bodies in the framing
// that its client reads: chunks, Connection and keep-alive fields. Buffers are held only while bytes are in
// them, but for that of the request's head, into which everything points.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gateway/core/downstream.h"
#include "gateway/core/http1/body.h"
#include "gateway/core/settings.h"
#include "gateway/core/turn/buffer.h"
#include "gateway/core/turn/ids.h"
#include "gateway/core/turn/transport.h"
#include "gateway/core/turn/turn_clock.h"

namespace havn::gateway {

class Http1Connection;

class Http1Downstream final : public Downstream {
  public:
    // What all of a thread use; it outlives them.
    struct Environment {
        TurnClock& clock;
        BufferPool& buffers;
        Settings& settings;
        IdGenerator& ids;
    };

    explicit Http1Downstream(const Environment& environment) : environment_(environment) {}

    // `in` begins with the head's `head_bytes`; the body may follow, and further requests. The connection
    // outlives the request. The error is the rule that the request breaks: it is not to be served, and what
    // is known of it is in request().
    std::expected<void, http1::Rule> begin(Http1Connection& connection, BufferPtr in,
                                           const http1::RequestHead& head, std::size_t head_bytes);

    // A head that cannot be read whole, of which no more is known than what `in` shows.
    void begin_unreadable(Http1Connection& connection, BufferPtr in);

    const Request& request() const override { return request_; }
    Body read_body(Piece& piece) override;
    bool body_at_hand() const override { return in_ && in_->size() > 0 && !decoder_.done(); }
    bool body_done() const override { return decoder_.done(); }
    std::uint64_t body_bytes() const override { return decoder_.payload_bytes(); }
    http1::Rule body_rule() const override { return body_rule_; }
    void release_body() override;
    Body discard_body() override;
    [[nodiscard]] bool send_interim(const Response& response) override;
    [[nodiscard]] bool send_head(const Response& response) override;
    [[nodiscard]] bool switch_protocols(const Response& response) override;
    void send_body(const Piece& piece) override;
    bool has_unsent() const override { return !unsent_.empty(); }
    Flushed flush() override;
    void drop_unsent() override;
    void finish(End end) override;
    void drive() override;
    void drive_later() override;

    // Ready for another request.
    void reset();

  private:
    // What becomes of the connection when the response was sent.
    enum class Ending : std::uint8_t {
        keep,
        close,
        close_or_reset,  // its close is the end of the body: one that is cut must not look like one
    };

    void start(Http1Connection& connection, BufferPtr in);
    void note_known(const http1::RequestHead& head);
    Body receive_body();
    bool is_rest_small() const;
    bool write_head(const Response& response, bool chunked, bool upgrade);
    Transport& transport() const;

    const Environment& environment_;
    Http1Connection* connection_ = nullptr;
    Request request_;
    BufferPtr in_;  // the request's head, which request_ points into, and what came with it
    std::vector<http1::Header> headers_;
    BufferPtr body_in_;  // further pieces of the body
    BodyDecoder decoder_;
    BodyEncoder encoder_;
    BufferPtr head_out_;
    Outgoing unsent_;
    http1::Rule body_rule_ = http1::Rule::none;
    Ending ending_ = Ending::keep;
    bool tunnelling_ = false;
};

}  // namespace havn::gateway
