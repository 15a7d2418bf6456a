// Platforms whose data folder does not lead to them: the folder was removed, or both processes that hold its
// lock died.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace havn::cli {

struct Keeper {
    int pid;
    std::string data;  // absolute, as it was started with
};

// The keepers of this user that run (as root: of root), by /proc/PID/cmdline.
std::vector<Keeper> running_keepers();

// Ends what a platform left of which neither keeper nor supervisor lives; says how many processes that were.
Result<std::size_t> end_leftovers(const std::string& data);

}  // namespace havn::cli
