// What control keeps of an application: the manifest that was accepted, where it came from, and what the
// platform chose for it. A revision is a value; where it is kept is a RevisionStore (revision_store.h).
//
// An application is known by its key: empty for the only one of a project platform, its name on a host
// platform. Numbers begin at 1 and count the revisions of one application.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "manifest/model.h"

namespace havn::control {

// As whom the gateway publishes to the embedded broker, and the user that $AMQP_URL names in a project
// platform. Its password is made by the platform, once.
inline constexpr std::string_view platform_user = "havn";

// A manifest that somebody wants to be the configuration of an application.
struct Submission {
    std::string app;  // the application's key
    manifest::Manifest manifest;
    std::string file;       // how the user named it
    std::string directory;  // absolute: the manifest's folder
};

// What the platform chose, once, and keeps from revision to revision: others hold on to it.
struct Placement {
    std::map<std::string, std::string> service_addresses;  // by service: "127.0.0.1:28000"
    std::string broker_password;                           // of the application's user of the embedded broker
    bool operator==(const Placement&) const = default;
};

struct Revision {
    std::uint64_t number = 0;
    Submission source;
    std::string applied_at;  // UTC, RFC 3339
    Placement placement;
};

// Where a revision comes from, for the supervisor, which looks there who wrote it: {"directory", "file"}.
Json origin_of(const Submission& source);

// docs/formats/revisions.md. The reader refuses with Error::corrupt, and names what is missing or wrong.
Json to_json(const Placement& placement);
Result<Placement> placement_from_json(const Json& json);

// As main wrote it before: within what the supervisor and the broker were told. What is not there is left
// empty, and chosen anew.
Placement placement_from_version_1(const Json& supervisor, const Json& broker);

}  // namespace havn::control
