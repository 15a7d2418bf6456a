// The users of the platform's own processes, and the one of instances that name none.
//
// As root gateway, broker and control have a uid each: users havn-gateway, havn-broker and havn-control where
// they exist, else private numbers without a name, which nobody else on the host has. Never `nobody`, and
// never one another's. Instances whose folder is root's and that name no user get one more (`app`). Without
// root there is no choice: all are the invoker.
//
// Private numbers are kept in accounts.json in the data folder, so that files keep their owner, and claimed
// for the folder in one file of the host, so that two platforms do not meet. Claims of folders that are gone
// are given back.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "supervisor/runtime/account.h"

namespace havn::supervisor {

struct Accounts {
    Account gateway, broker, control;
    Account app;

    const Account& of_part(std::string_view part) const;
};

// Called in the data folder; `folder` is its absolute path. Error::unavailable when no number is free,
// Error::denied when two of the named users are one, or one of them is root.
Result<Accounts> platform_accounts(const std::string& folder);

// Numbers for `names`, none twice: what `kept` (accounts.json) says where it is still ours, else ones for
// which `is_free` holds. `claims` is the host's list, by number: {"folder", "for"}; it is brought up to date.
// Pure, for the test.
inline constexpr uid_t private_first = 61'184, private_last = 65'519;  // as systemd's DynamicUser
Result<std::map<std::string, uid_t>> choose_private(const std::vector<std::string>& names,
                                                    const std::string& folder, const Json& kept, Json& claims,
                                                    uid_t begin, const std::function<bool(uid_t)>& is_free,
                                                    const std::function<bool(const std::string&)>& is_there);

}  // namespace havn::supervisor
