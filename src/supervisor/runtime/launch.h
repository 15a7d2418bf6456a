// What a process is started with: its user, its environment, its program and folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "supervisor/core/instance.h"
#include "supervisor/runtime/platform_accounts.h"
#include "supervisor/runtime/spawn.h"

namespace havn::supervisor {

// The user a program runs as, where it may; as root `folder_owner` is whose folder it runs in.
Result<Account> account_of(const Program& program, const Accounts& accounts,
                           std::optional<uid_t>& folder_owner);

// All but the descriptors. `port` 0: it has none. `executable` is the descriptor of our own binary.
Result<SpawnRequest> launch_request(const Instance& instance, std::uint16_t port, const std::string& cookie,
                                    const Accounts& accounts, int executable);

}  // namespace havn::supervisor
