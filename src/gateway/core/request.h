// A request as the transaction and its sources see it, whatever protocol brought it: a downstream fills it
// in.
//
// All views point into memory of the downstream and stay valid until the transaction is over. Header fields
// are kept as lines "name: value\r\n" behind a first line (`raw`), so that they can be copied in one go; a
// protocol that has no such lines writes them.
#pragma once

#include <span>
#include <string_view>

#include "gateway/core/turn/ids.h"
#include "wire/http1/framing.h"

namespace havn::gateway {

struct RouteEntry;

struct Request {
    http1::RequestHead head;
    http1::RequestFacts facts;  // `upgrade` is empty unless the request may switch protocols
    std::string_view raw;       // the bytes `head` was read from
    Id own_id;                  // of the job, too
    std::string_view id;        // in log, upstream and answer: the client's, or else `own_id`
    std::string_view client;    // the peer's address
    bool trusted = false;       // the peer's X-Forwarded-* are extended; of others replaced
    // The route of everything on a service's own listener; null on the edge. The thread's Settings own it.
    const RouteEntry* service = nullptr;
};

// The id a request is known by in log, upstream and answer, when its sender named one that is fit for all
// three: a single X-Request-Id of 1 to 128 token characters, '/' and '='. Otherwise empty: it gets one of
// ours.
std::string_view brought_request_id(std::span<const http1::Header> headers);

// How often this gateway stands in the Via fields already.
unsigned times_seen(std::span<const http1::Header> headers);

// Server-sent events: silent for as long as nothing happens. HTML §9.2.
bool is_event_stream(const http1::ResponseHead& head);

inline constexpr std::string_view via_name = "havn";
inline constexpr unsigned via_max = 8;  // a request that came by more often goes in circles: 508

}  // namespace havn::gateway
