// What a handler of the control API is given and what it answers.
//
// An error travels as {"error":{"kind","message","remedy"}}; its status follows from its kind (status_of),
// and the client makes the same Error of it again. A streamed answer is JSON lines (one object per line,
// chunked).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "io/asio.h"

namespace havn::rpc {

using io::Task;

struct Request {
    std::string method;
    std::string path;                               // percent-decoded, without the query
    std::map<std::string, std::string> parameters;  // what the pattern's {names} stand for
    std::map<std::string, std::string> query;
    std::string body;

    Result<Json> json() const;  // the body; an empty one is an empty object

    // A query value, or `otherwise` where it is absent.
    std::string query_or(const std::string& name, std::string_view otherwise) const;
};

// The receiving end of a streamed answer.
class Lines {
  public:
    virtual ~Lines() = default;

    // Returns once the kernel has taken the line; Error::unavailable when the client is gone.
    virtual Task<Result<>> send(Json line) = 0;

    // Whether the client hung up: for those who wait long between lines.
    virtual bool gone() = 0;
};

struct Response {
    int status = 200;
    std::string type = "application/json";
    std::string body;
    std::function<Task<void>(std::shared_ptr<Lines>)> stream;  // when set, it is the body
};

Response json(const Json& body, int status = 200);
Response text(std::string body, std::string type = "text/plain; charset=utf-8");
Response error(const Error& error);

// The body, or the error: what most handlers end with.
Response json_or_error(const Result<Json>& result);

// The one place where a kind of error becomes an HTTP status, and the way back for a peer's answer.
int status_of(Error::Kind kind);
Json to_json(const Error& error);  // {"error":{…}}
Error error_from(int status, std::string_view body);

}  // namespace havn::rpc
