// The heads the gateway writes: the request an upstream gets, the response a client gets. RFC 9110 §7.6.
//
// Hop-by-hop fields and those named in Connection are left out, our own are added after that, so that no
// client can have them removed. Everything else is copied byte for byte and in order.
#pragma once

#include <cstdint>
#include <string_view>

#include "wire/http1/framing.h"
#include "wire/http1/write.h"

namespace havn::gateway {

struct ForwardedRequest {
    const http1::RequestHead& head;
    const http1::RequestFacts& facts;
    std::string_view raw;              // the bytes `head` was read from
    std::string_view client = {};      // the peer's address
    bool trusted = false;              // its X-Forwarded-* are extended; of others replaced
    std::string_view authority = {};   // Host for a request without one
    std::string_view request_id = {};  // X-Request-Id, in place of the client's
    bool upgrade = false;              // ask the upstream to switch protocols too
};

// X-Real-IP, X-Forwarded-For/-Proto/-Host, X-Request-Id and Via are ours. A header whose name holds '_' is
// dropped: to a CGI-like upstream it would be the same name as one with '-'. False when `out` is too small.
bool write_upstream_head(http1::SpanWriter& out, const ForwardedRequest& request);

struct ForwardedResponse {
    const http1::ResponseHead& head;
    const http1::ResponseFacts& facts;
    std::string_view raw;
    http1::Method method;         // of the request
    bool chunked = false;         // the body is sent in chunks
    bool close = false;           // the connection ends after this response
    bool keep_alive_1_0 = false;  // the client is 1.0 and asked to stay
    bool upgrade = false;         // a 101 that is passed on
    // X-Request-Id, in place of the upstream's; empty: not of a final answer.
    std::string_view request_id = {};
};

// Upgrade of a 426 is for the client and passed on: RFC 9110 §15.5.22.
bool write_client_head(http1::SpanWriter& out, const ForwardedResponse& response);

}  // namespace havn::gateway
