// HTTP/1.1 on a Unix socket, for the CLI, the other parts and `curl --unix-socket`; and on a TCP socket, for
// what everybody may know.
//
//     Server server(loop.executor());
//     server.route("GET", "/v1/queues/{name}", [this](Request request) { return queue(std::move(request));
//     }); Result<> listening = server.listen("run/broker.sock");
//
// Handlers run on the loop's thread, one request at a time per connection, connections side by side. A
// handler is a plain function that returns a coroutine (give it a member function's; never make the lambda
// itself one).
//
// Who may ask is decided by the kernel: by the socket file's owner and mode, and by the peer's credentials
// (SO_PEERCRED, unix(7)): root and io::permitted_callers(). Whoever may, may do everything; another one is
// answered with Error::denied, which names who may.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "io/fd.h"
#include "rpc/message.h"

namespace havn::rpc {

class Server {
  public:
    using Handler = std::function<Task<Response>(Request)>;

    struct Limits {
        std::size_t body_bytes_max = 16u << 20;  // of a request; a larger one is refused
        std::size_t connections_max = 256;       // beyond: closed at once
        // For a whole request to arrive, and for an answer that is no stream to be taken; then the
        // connection is closed.
        Duration request_timeout = seconds(30);
        Duration answer_timeout = seconds(300);
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

    // A part of the platform: answers on the socket the supervisor made, or, where it runs alone, on `path`.
    Result<> listen_as_part(const std::string& path);

    // Answers whoever reaches a socket that listens already, such as one on a TCP address.
    Result<> serve_everybody(io::Fd listening);

    // In place of io::permitted_callers().
    void permit(std::set<uid_t> callers);

    // Closes the listener and every connection, then waits for the handlers under way.
    Task<void> close();

  private:
    struct State;
    Result<> listen_on(io::Fd socket);
    std::shared_ptr<State> state_;
};

}  // namespace havn::rpc
