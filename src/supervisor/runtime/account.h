// Under which user a process runs. Without root there is no choice: it is the user of the supervisor.
#pragma once

#include <sys/types.h>

#include <optional>
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

// From the user database; none when it has no such user.
std::optional<Account> named_account(const std::string& name);
// A number without an entry in the user database is a user as well; with one it is that user.
Account numbered_account(uid_t uid, gid_t gid);

// An instance's: the user `name` (or number), else the owner of `directory`; where that is root, `app`:
// nothing runs as root that does not say so. Error::not_found when there is none, Error::denied when it is
// another than ours and we are not root.
Result<Account> account_for(const std::string& name, const std::string& directory, const Account& app);

}  // namespace havn::supervisor
