// From what the user said to what each part is told. Pure and deterministic: equal inputs give equal outputs.
//
// What an instance finds in its environment, unless the manifest's own `env` says otherwise:
//   AMQP_URL         the broker: the first address of `[broker] listen` (a wildcard as loopback), or its
//   `url` NAME_URL         for each service in its `depends_on`, a loopback address at which the gateway
//   balances calls to
//                    that service. Only for those: were every service's address given, adding one service
//                    would change, and so restart, all others
//   HAVN_APP         the application's name
// (PORT, HAVN_NAME and HAVN_INSTANCE are the supervisor's to add.)
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/error.h"
#include "contract/broker.h"
#include "contract/gateway.h"
#include "contract/supervisor.h"
#include "manifest/model.h"

namespace havn::control {

// The user of the embedded broker that $AMQP_URL names. Its password is made by the platform, once.
inline constexpr std::string_view platform_user = "havn";

struct Placement {
    std::uint64_t revision = 0;
    std::string directory;                                 // absolute: the manifest's folder
    std::map<std::string, std::string> service_listeners;  // of every service: "127.0.0.1:15000"
    std::string broker_password;  // of the platform's own user of the embedded broker: `platform_user`
};

struct Compiled {
    supervisor::Desired supervisor;
    gateway::Config gateway;
    broker::Config broker;
};

// Error::invalid when `[broker] url` cannot be used. Every service must be in `service_listeners`.
Result<Compiled> compile(const manifest::Manifest& manifest, const Placement& placement);

// What the manifest itself says about its programs: name, kind, command, directory, user and `env`, as
// compile() puts them. By this the supervisor knows what its author wants run (supervisor/core/authority.h).
std::vector<supervisor::Program> written_programs(const manifest::Manifest& manifest,
                                                  const std::string& directory);

// The manifest's own name for the application, else the folder's.
std::string app_name(const manifest::Manifest& manifest, const std::string& directory);

}  // namespace havn::control
