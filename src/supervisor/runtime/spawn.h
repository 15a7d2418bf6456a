// Starts one process: its own session and group, default signals, umask 022, no descriptor but what it is
// given.
//
// The call returns once the process exists; whether its program could be executed shows later: a child that
// cannot go on writes the reason to `status` and exits, so read `spawn_failure` when it ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/fd.h"
#include "supervisor/core/instance.h"
#include "supervisor/runtime/account.h"

namespace havn::supervisor {

struct SpawnRequest {
    std::vector<std::string> arguments;    // without a slash the first is searched in the child's PATH
    int executable = -1;                   // a descriptor to execute instead
    std::vector<std::string> environment;  // NAME=value
    std::string directory;                 // entered before the user is changed
    std::optional<uid_t> folder_owner;     // whose it must be
    Account account;
    int output = -1;               // becomes its standard output; standard input is /dev/null
    int errors = -1;               // becomes its standard error; -1: the same as output
    int link = -1;                 // becomes descriptor 3
    int rpc = -1;                  // becomes descriptor 4
    bool confined = false;         // no program it executes gains privileges (PR_SET_NO_NEW_PRIVS)
    std::uint64_t files_soft = 0;  // its soft limit of open descriptors; 0: the same as ours
};

inline constexpr int link_descriptor = 3;
inline constexpr int rpc_descriptor = 4;

struct Spawned {
    int pid = 0;
    io::Fd pidfd;
    io::Fd status;
    std::uint64_t start_time = 0;
};

Result<Spawned> spawn(const SpawnRequest& request);

// How a process ended, from its status as of wait(2).
Exit exit_of(int status);

// Why the child of `spawn` ended before its program began; none when the program did begin.
std::optional<Error> spawn_failure(int status, const SpawnRequest& request);

}  // namespace havn::supervisor
