// Requests to a part's Unix socket (see server.h), one connection each.
//
// An answer that is no success comes back as the Error the peer sent; no answer in time, or nobody listening,
// is Error::unavailable.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "rpc/message.h"

namespace havn::rpc {

// A streamed answer, line by line. Dropping it hangs up.
class LineReader {
  public:
    struct State;
    explicit LineReader(std::unique_ptr<State> state);
    LineReader(LineReader&&) noexcept;
    ~LineReader();

    // The next line; nothing after the last. Error::unavailable after `limit` without one.
    Task<Result<std::optional<Json>>> next(Duration limit = Duration::max());

    // Makes a waiting next() end with Error::unavailable.
    void close();

  private:
    std::unique_ptr<State> state_;
};

class Client {
  public:
    // "unix:PATH"; see io/net.h.
    explicit Client(std::string address) : address_(std::move(address)) {}

    // `body` null: none is sent. `target` is the path with its query, encoded.
    Task<Result<Json>> request(std::string method, std::string target, Json body, Duration timeout);
    Task<Result<std::string>> text(std::string method, std::string target, Json body, Duration timeout);

    // `timeout` bounds the wait for the answer's head only.
    Task<Result<LineReader>> stream(std::string method, std::string target, Json body, Duration timeout);

  private:
    std::string address_;
};

}  // namespace havn::rpc
