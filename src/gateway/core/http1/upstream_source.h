// A service as a source, over HTTP/1: one attempt at a time at one of its endpoints.
//
// It writes the request's head for the endpoint, sends the body in the framing it came with, and reads heads
// and payload. Which endpoint is asked is the balancer's word; each is tried once, but that a kept connection
// which had ended is followed by a new one to the same endpoint. A connection that is whole afterwards goes
// back to its pool.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/core/cluster/clusters.h"
#include "gateway/core/http1/body.h"
#include "gateway/core/settings.h"
#include "gateway/core/source.h"
#include "gateway/core/turn/buffer.h"
#include "gateway/core/turn/transport.h"
#include "gateway/core/turn/turn_clock.h"
#include "wire/http1/arrival.h"

namespace havn::gateway {

class UpstreamSource final : public Source, private UpstreamConnection::User {
  public:
    // Interim responses to one request. One every few seconds, as a service at work for long may send (102),
    // has room; an endless row of them, each of which would count as progress, has not.
    static constexpr unsigned interim_max = 100;

    // What all of a thread use; it outlives them.
    struct Environment {
        TurnClock& clock;
        BufferPool& buffers;
        Settings& settings;
        Clusters& clusters;
    };

    explicit UpstreamSource(const Environment& environment) : environment_(environment) {}

    Begun begin(const Request& request, const RouteEntry& entry, bool repeatable, SourceUser& user) override;
    Begun begin_again(Next next) override;
    Found connect() override;
    Found put(const Piece& piece) override;
    bool has_unsent() const override { return !unsent_.empty(); }
    Flushed flush() override;
    Found end_request() override { return Found::progress; }
    void half_close() override { transport().shutdown_write(); }
    Found read(Response& response) override;
    void head_passed() override { endpoint_->answered(); }
    void expect_silence() override { transport().probe_when_silent(); }
    Found expire() override;
    Time deadline() const override { return Time::max(); }
    Failure failure() const override { return failure_; }
    Attempt attempt() const override;
    void attempt_failed(Failure failure, bool blames) override;
    void explain(OwnAnswer& answer) const override;
    void release(bool complete) override;
    std::string_view address() const override { return address_; }

  private:
    // What is expected from the endpoint next.
    enum class Reading : std::uint8_t { head, body, tunnel };

    // All of it stays until release().
    struct Asked {
        const Request* request = nullptr;   // the downstream's
        const RouteEntry* entry = nullptr;  // of the tables that the transaction holds
        SourceUser* user = nullptr;         // the transaction
        bool repeatable = false;
    };

    void on_upstream_ready() override { asked_.user->on_source_ready(); }
    Begun pick_endpoint();
    Begun try_endpoint(Endpoint& endpoint, bool fresh);
    [[nodiscard]] bool write_head();
    void end_attempt(bool reusable);
    void leave_endpoint();
    Found read_head(Response& response);
    Found take_head(Response& response, std::size_t bytes);
    Found read_body(Response& response);
    bool decode(Piece& piece);
    Found ended(Response& response, bool orderly);
    Found fail_with(Failure failure);
    Found broken();
    Transport& transport() const { return connection_->transport(); }

    const Environment& environment_;
    Asked asked_;
    std::vector<std::uint64_t> tried_;  // ids of endpoints: one that left the table is gone
    Endpoint* endpoint_ = nullptr;      // it stays while the request is counted there
    std::unique_ptr<UpstreamConnection> connection_;
    std::string address_;  // for the log, when the endpoint is gone
    BufferPtr head_out_;
    Outgoing unsent_;
    BodyEncoder encoder_;
    BufferPtr in_;
    http1::HeadArrival arrival_{http1::HeadArrival::Of::response};  // of the head in `in_`
    http1::ResponseHead head_;
    http1::ResponseFacts facts_;
    BodyDecoder decoder_;
    std::uint16_t interims_ = 0;
    Reading reading_ = Reading::head;
    Failure failure_ = Failure::none;
    bool bytes_sent_ = false;  // in this attempt
};

}  // namespace havn::gateway
