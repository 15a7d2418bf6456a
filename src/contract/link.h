// The messages between the supervisor and the parts it starts (control, gateway, broker): one struct for
// each, with its JSON. io/link.h carries them; docs/formats/link.md is the page for people.
//
// Both sides encode and decode with these functions only. A decoder takes what any process may have sent:
// it refuses, with Error::invalid and the place, what it does not know, what is missing and what is out of
// its bounds, and asserts nothing. Keys it does not know are ignored, so that a newer peer may say more.
//
// Descriptors travel beside a message, not in it: for `Listeners` there is one for each entry, in their
// order. io::Link answers `Ping` by itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace havn::link {

// What an accepted connection is to be taken for.
enum class ListenerKind : std::uint8_t { tcp, local };  // "tcp", "unix"

std::string_view name(ListenerKind kind);
// The kind that follows from an address as listeners write it: "unix:PATH" is local, all else is TCP.
ListenerKind kind_of(std::string_view address);

struct Listener {
    std::string name;     // "edge", "service:NAME", "amqp", "metrics"
    std::string address;  // "127.0.0.1:8080", "unix:run/amqp.sock"
    ListenerKind kind = ListenerKind::tcp;
    bool operator==(const Listener&) const = default;
};

struct Endpoint {
    std::string address;         // as the runtime that started the instance gave it: "127.0.0.1:20001"
    std::uint32_t instance = 1;  // from 1
    bool operator==(const Endpoint&) const = default;
};

// From a part to the supervisor.
struct Ready {};         // it serves now
struct Pong {            // the answer to a ping
    bool ready = false;  // it has sent Ready before
};
struct Applied {  // gateway: new requests follow the endpoints of that version
    std::uint64_t version = 0;
};
struct Drained {  // gateway: nothing is in flight any more to an endpoint that left the table
    std::string endpoint;
};
struct Apply {  // control: the whole desired state; answered when it is accepted, not when it is reached
    std::uint64_t id = 0;
    Json desired;  // contract/supervisor.h
    Json origin;   // {"directory", "file"}: where the manifest is from
};
struct Restart {  // control: one instance or all of a program, or of a part of the platform
    std::uint64_t id = 0;
    std::string app;  // empty: the only application, or a part
    std::string name;
    std::uint32_t instance = 0;  // 0: all
};
struct Stop {  // control: stop everything, then the supervisor itself
    std::uint64_t id = 0;
};

// From the supervisor to a part.
struct Listeners {  // the whole set to accept on; a part closes what is no longer named
    std::vector<Listener> entries;
};
struct Endpoints {  // to the gateway: the whole table of instances that are ready, by service
    std::uint64_t version = 0;
    std::map<std::string, std::vector<Endpoint>> services;
};
struct Ping {};
struct Reply {  // to control
    std::uint64_t id = 0;
    std::optional<Error> error;
};
struct Processes {               // to control: the rows of the process table (docs/api.md lists a row's keys)
    std::uint64_t revision = 0;  // grows with every message
    bool whole = true;           // false: `rows` are those that changed, `gone` those that went
    Json rows = Json::array();   // objects; each but the keeper's and the supervisor's has an "id"
    std::vector<std::uint64_t> gone;  // ids
};

using ToPart = std::variant<Listeners, Endpoints, Ping, Reply, Processes>;
using ToSupervisor = std::variant<Ready, Pong, Applied, Drained, Apply, Restart, Stop>;

Json to_json(const Ready& message);
Json to_json(const Pong& message);
Json to_json(const Applied& message);
Json to_json(const Drained& message);
Json to_json(const Apply& message);
Json to_json(const Restart& message);
Json to_json(const Stop& message);
Json to_json(const Listeners& message);
Json to_json(const Endpoints& message);
Json to_json(const Ping& message);
Json to_json(const Reply& message);
// The text of a `Processes` message around `rows`, the text of a list that its writer kept (io::Link sends
// text).
std::string processes_text(std::uint64_t revision, bool whole, std::string_view rows,
                           const std::vector<std::uint64_t>& gone);

Result<ToPart> to_part_from_json(Json message);
Result<ToSupervisor> to_supervisor_from_json(Json message);

// Of a command that may be malformed: what its reply must carry.
std::uint64_t id_of(const Json& message);

}  // namespace havn::link
