// What the gateway says itself: errors, the answer to OPTIONS, a route's fallback, the number of a job.
//
// It is filled in by set() or error() and read as any other source; one read gives all of it. The strings it
// is given may go; the body of set() stays where it is until the answer was sent.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/core/downstream.h"
#include "gateway/core/turn/turn_clock.h"

namespace havn::gateway {

class OwnAnswer {
  public:
    explicit OwnAnswer(TurnClock& clock) : clock_(clock) {}  // which outlives it

    // `extra`: whole header lines, at most two. An empty `type` stands for no Content-Type.
    void set(std::uint16_t status, std::string_view type, std::string_view body, std::string_view extra = {});

    // The same with a body that is kept here.
    void set_kept(std::uint16_t status, std::string_view type, std::string body, std::string_view extra = {});

    // {"error":{…}}; `cause` is a name for logs and programs, and static.
    void error(std::uint16_t status, std::string_view cause, std::string_view message,
               std::string_view extra = {});

    // The response to a request of this method.
    const Response& response(http1::Method method);

    std::uint16_t status() const { return head_.status; }
    std::string_view cause() const { return cause_; }  // empty: it is no error

    void clear();

  private:
    static constexpr std::size_t kept_bytes_max = 65536;  // of memory, from one answer to the next

    TurnClock& clock_;
    std::string lines_;  // a first line, the header lines, and an empty one
    std::string text_;   // of the body, when it is kept here
    std::string_view body_;
    std::string_view cause_;
    std::array<http1::Header, 6> headers_;
    http1::ResponseHead head_;
    http1::ResponseFacts facts_;
    Response response_;
};

}  // namespace havn::gateway
