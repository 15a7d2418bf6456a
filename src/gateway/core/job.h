// What a queue route's request tells its worker beside the body: the headers of the message.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "contract/gateway.h"
#include "wire/http1/framing.h"

namespace havn::gateway {

struct JobRequest {
    const http1::RequestHead& head;
    const http1::RequestFacts& facts;
    const Route& route;
    std::string_view client = {};      // the peer's address
    bool trusted = false;              // its X-Forwarded-For is extended
    std::string_view request_id = {};  // as in log and answer
};

// method, path, query, x-forwarded-for and x-request-id (as the route writes that name, if it does), then the
// route's `headers` where the request has them. Each name stands there once: lines of one field are joined
// with ", " (Cookie with "; "; RFC 9110 §5.3, RFC 9113 §8.2.3), and no header of a client takes the place of
// one of ours.
std::vector<std::pair<std::string, std::string>> job_headers(const JobRequest& request);

}  // namespace havn::gateway
