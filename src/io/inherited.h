// What a part of the platform is given when the supervisor starts it, beside its link (link.h).
#pragma once

#include <sys/types.h>

#include <optional>
#include <set>
#include <vector>

#include "io/fd.h"

namespace havn::io {

inline constexpr const char* rpc_variable = "HAVN_RPC";          // a listening socket's descriptor number
inline constexpr const char* callers_variable = "HAVN_CALLERS";  // uids, who may ask on it beside root
inline constexpr const char* groups_variable = "HAVN_GROUPS";    // for control: gids of gateway and broker

// The Unix socket to answer on, made by the supervisor; none for a part that runs alone. Once.
std::optional<Fd> inherited_rpc_socket();

// Root, and whom the supervisor named; without a word from it, this process's own user.
std::set<uid_t> permitted_callers();

// The groups of gateway and broker, in this order; empty where all run as one user.
std::vector<gid_t> inherited_groups();

// Where this part has a user of its own: nobody else may trace it or read its memory, and it leaves no core.
void close_to_others();

}  // namespace havn::io
