// One line of JSON per request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace havn::gateway {

struct AccessRecord {
    std::string_view time;  // RFC 3339
    std::string_view id;
    std::string_view client;
    std::string_view method;
    std::string_view host;
    std::string_view target;
    std::string_view route;       // empty: none matched
    std::string_view upstream;    // the endpoint that answered, or was tried last
    std::string_view cause;       // why the gateway answered itself: "timeout", "connect", …
    std::uint16_t status = 0;     // 499: the client left before an answer
    std::uint64_t bytes_in = 0;   // of the request body
    std::uint64_t bytes_out = 0;  // of the response body
    Duration duration{};
};

void append_line(std::string& out, const AccessRecord& record);

// The text between the quotes of a JSON string. Bytes that are no UTF-8 become U+FFFD.
void append_json_text(std::string& out, std::string_view text);

}  // namespace havn::gateway
