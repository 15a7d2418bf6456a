// Messages with descriptors over an inherited Unix socket: how the supervisor and the parts it starts talk.
//
// A message is a JSON object, preceded by its length (4 bytes, little endian, at most 16 MiB), with at most
// `descriptors_max` descriptors attached (SCM_RIGHTS). A peer that breaks this is disconnected.
//
// A message {"type":"ping"} is answered with {"type":"pong"} by whoever is in `receive`, which does not
// return it: so each end can find out whether the other one still runs its loop. The answer says
// "ready":true if a message {"type":"ready"} was sent before: whoever read that may have died of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "io/asio.h"
#include "io/fd.h"

namespace havn::io {

class Link {
  public:
    static constexpr std::size_t message_bytes_max = 16u << 20;
    static constexpr std::size_t descriptors_max = 250;  // in one message; the kernel allows 253

    struct Message {
        Json body;
        std::vector<Fd> descriptors;
        bool descriptors_lost = false;  // there were more than this process has room for (RLIMIT_NOFILE)
    };

    // A connected pair: ours, and the one to hand to a child.
    static Result<std::pair<Fd, Fd>> make_pair();

    Link(Executor executor, Fd socket);
    Link(Link&&) = default;
    ~Link();

    // Queues and returns; bytes leave in order as the peer reads. Descriptors are duplicated, not taken.
    // Past `message_bytes_max` of unread backlog the link is closed: a peer that stopped reading is dead.
    // Error::unavailable when it is closed, or when this process has no descriptor left to duplicate one;
    // Error::invalid past the limits of a message. On an error nothing of the message is sent.
    Result<> send(const Json& body, const std::vector<int>& descriptors = {});
    Result<> send_text(std::string_view body, const std::vector<int>& descriptors = {});  // of a JSON object

    // The next message; Error::unavailable once the peer closed or died.
    Task<Result<Message>> receive();

    void close();
    bool is_open() const;

  private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the coroutine that writes, which may outlive the link
};

// The link a part was started with (environment variable HAVN_LINK holds its descriptor number).
inline constexpr const char* link_variable = "HAVN_LINK";
Result<Fd> inherited_link();

}  // namespace havn::io
