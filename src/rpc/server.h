// HTTP/1.1 on a Unix socket, for the CLI, the other parts and `curl --unix-socket`.
//
//     Server server(loop.executor());
//     server.route("GET", "/v1/queues/{name}", [this](Request request) { return queue(std::move(request));
//     }); Result<> listening = server.listen("run/broker.sock");
//
// Handlers run on the loop's thread, one request at a time per connection, connections side by side. A
// handler is a plain function that returns a coroutine (give it a member function's; never make the lambda
// itself one). Access is the socket file's mode: whoever may open it may do everything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "rpc/message.h"

namespace havn::rpc {

class Server {
  public:
    using Handler = std::function<Task<Response>(Request)>;

    struct Limits {
        std::size_t body_bytes_max = 16u << 20;  // of a request; a larger one is refused
        std::size_t connections_max = 256;       // beyond: closed at once
        Duration request_timeout =
            seconds(30);  // for a whole request to arrive; then the connection is closed
    };

    explicit Server(io::Executor executor);
    Server(io::Executor executor, Limits limits);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();  // closes the listener and every connection; handlers under way are not waited for

    // `pattern` matches whole segments; {name} matches one and lands in Request::parameters.
    void route(std::string_view method, std::string_view pattern, Handler handler);

    // Takes the socket file (a dead process's is replaced) and starts to answer.
    Result<> listen(const std::string& path, unsigned mode = 0600);

    // Closes the listener and every connection, then waits for the handlers under way.
    Task<void> close();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace havn::rpc
