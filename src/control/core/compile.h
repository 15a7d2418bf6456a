// From what the users of a host said to what each part is told. Pure and deterministic: equal inputs give
// equal outputs.
//
// What an instance finds in its environment, unless the manifest's own `env` says otherwise:
//
//   AMQP_URL   the broker: the first address of `[broker] listen` (a wildcard as loopback) with the
//              application's user and vhost, or `[broker] url`
//   NAME_URL   for each service in its `depends_on`, a loopback address at which the gateway balances calls
//              to that service. Only for those: were every service's address given, adding one service would
//              change, and so restart, all others
//   HAVN_APP   the application's name
//
// (PORT, HAVN_NAME and HAVN_INSTANCE are the supervisor's to add.)
//
// An application is a name space. Where its key is not empty, what others could see of it carries the key:
// the names of its services between the parts (shown_name of contract/supervisor.h), its vhost and its user
// of the embedded broker.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "contract/broker.h"
#include "contract/gateway.h"
#include "contract/supervisor.h"
#include "control/core/revision.h"
#include "control/core/scale.h"
#include "manifest/model.h"

namespace havn::control {

// What a host decides for all its applications.
struct HostSettings {
    manifest::Gateway gateway;
    manifest::Broker broker;
    manifest::Metrics metrics;
    std::string broker_password;  // of `platform_user`
};

// In a project platform its one application speaks for the host.
HostSettings settings_of(const Revision& revision);

// One application as it is to be compiled. It refers to its revision, which its caller keeps meanwhile.
struct Application {
    const Revision& revision;
    std::vector<ScaleTable::Scaled> scaled;  // what holds over the manifest's numbers
};

struct Compiled {
    supervisor::Desired supervisor;
    gateway::Config gateway;
    broker::Config broker;
};

// Every service has an address in its revision's placement, and no two applications have the same key.
// `number` is what the parts call the whole. Error::invalid when `[broker] url` cannot be used;
// Error::conflict when two applications want the same route.
Result<Compiled> compile(std::uint64_t number, std::span<const Application> applications,
                         const HostSettings& host);

// Whether two configurations say the same to every part, whatever their numbers.
bool same(const Compiled& one, const Compiled& other);

// What the manifest itself says about its programs: name, kind, command, directory, user and `env`, as
// compile() puts them. By this the supervisor knows what its author wants run (supervisor/core/authority.h).
std::vector<supervisor::Program> written_programs(const manifest::Manifest& manifest,
                                                  const std::string& directory);

// The manifest's own name for the application, else the folder's.
std::string app_name(const manifest::Manifest& manifest, std::string_view directory);

}  // namespace havn::control
