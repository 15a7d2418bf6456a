// Under which user a process runs. Without root there is no choice: it is the user of the supervisor.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace havn::supervisor {

struct Account {
    bool change = false;  // the child must switch to it
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  // supplementary, from the group database
    std::string name;
    std::string home;
    std::string shell;
};

// The user `name`, else the owner of `directory`. Error::not_found when there is none, Error::denied when it
// is another than ours and we are not root.
Result<Account> account_for(const std::string& name, const std::string& directory);

// control, gateway and broker: as root user `havn` where it exists, else `nobody`.
Result<Account> account_of_parts();

}  // namespace havn::supervisor
