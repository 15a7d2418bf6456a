// How many descriptors keeper and supervisor may have, and how many the programs they start.
//
// Both raise their soft limit (RLIMIT_NOFILE) to the hard one. A program gets the former soft limit, with
// which `havn up` was typed: one that uses select() breaks with descriptors of 1024 and more.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "contract/supervisor.h"

namespace havn::supervisor {

// The former soft limit, between our own processes.
inline constexpr const char* files_variable = "HAVN_FILES";

// Raises the limit of this process; sets files_variable where it is not set yet.
void raise_limit_remembering();

// The soft limit for programs; 0 when it is not known.
std::uint64_t files_soft_of_programs();

// How many descriptors the supervisor may come to need for it, at most: of each instance two log pipes, a log
// file and a pidfd, a socket for its health check, the same for those that are replaced beside it, and some
// for the listening sockets and the parts.
std::uint64_t descriptors_needed(const Desired& desired);

// Error::unavailable, with the number that is needed, when this process may not have enough for `desired`.
Result<> enough_descriptors(const Desired& desired);

}  // namespace havn::supervisor
