// What arrives on one HTTP connection: heads, and bodies piece by piece (RFC 9112). Used by server and
// client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "io/asio.h"
#include "wire/http1/chunked.h"
#include "wire/http1/framing.h"

namespace havn::rpc {

struct Head {
    std::string method, target;  // of a request
    int status = 0;              // of a response
    bool keep_alive = true;
    bool expects_continue = false;
};

class Reader {
  public:
    explicit Reader(io::StreamSocket& socket) : socket_(socket) {}

    // Nothing when the peer closed between two requests; Error::invalid for what is no HTTP.
    io::Task<Result<std::optional<Head>>> request_head();
    io::Task<Result<Head>> response_head();

    // The next piece of the present message's body; an empty one is its end.
    io::Task<Result<std::string>> piece();

    // All of it; Error::invalid past `bytes_max`.
    io::Task<Result<std::string>> body(std::size_t bytes_max);

  private:
    io::Task<Result<bool>> fill();  // false: the peer closed
    Result<std::optional<Head>> try_request_head();
    Result<std::optional<Head>> try_response_head();
    void expect(const http1::Framing& framing);
    std::string take(std::size_t bytes);
    Result<std::optional<std::string>> try_piece();  // nothing: more is needed; empty: the end

    io::StreamSocket& socket_;
    std::string buffer_;  // received and not yet taken
    http1::Framing framing_;
    http1::ChunkedDecoder chunked_;
    std::uint64_t left_ = 0;  // of a body with a length
};

}  // namespace havn::rpc
