#include "supervisor/shell/account.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace havn::supervisor {

static Account from_entry(const passwd& entry) {
    Account account;
    account.change = ::geteuid() == 0;
    account.uid = entry.pw_uid;
    account.gid = entry.pw_gid;
    account.name = entry.pw_name;
    account.home = entry.pw_dir;
    account.shell = entry.pw_shell;
    int count = 32;
    account.groups.resize(32);
    while (::getgrouplist(entry.pw_name, entry.pw_gid, account.groups.data(), &count) < 0) {
        account.groups.resize(static_cast<std::size_t>(count));
    }
    account.groups.resize(static_cast<std::size_t>(count));
    return account;
}

// A number without an entry is a user as well (files copied from elsewhere).
static Account from_number(uid_t uid, gid_t gid) {
    if (const passwd* entry = ::getpwuid(uid)) return from_entry(*entry);
    Account account;
    account.change = ::geteuid() == 0;
    account.uid = uid;
    account.gid = gid;
    account.groups = {gid};
    account.name = std::to_string(uid);
    account.home = "/";
    account.shell = "/bin/sh";
    return account;
}

Result<Account> account_for(const std::string& name, const std::string& directory) {
    const bool root = ::geteuid() == 0;
    if (!name.empty()) {
        const passwd* entry = ::getpwnam(name.c_str());
        if (!entry) {
            return fail(Error::Kind::not_found, "there is no user '" + name + "'",
                        "create it with `adduser --system " + name + "`, or name another in `user`");
        }
        if (!root && entry->pw_uid != ::geteuid()) {
            return fail(Error::Kind::denied, "only root can run a program as user '" + name + "'",
                        "start the platform with sudo, or remove `user`");
        }
        return from_entry(*entry);
    }
    if (!root) return from_number(::geteuid(), ::getegid());
    struct stat status{};
    if (::stat(directory.c_str(), &status) != 0) return fail_errno("folder " + directory);
    return from_number(status.st_uid, status.st_gid);
}

Result<Account> account_of_parts() {
    if (::geteuid() != 0) return from_number(::geteuid(), ::getegid());
    for (const char* name : {"havn", "nobody"}) {
        if (const passwd* entry = ::getpwnam(name)) return from_entry(*entry);
    }
    return fail(Error::Kind::not_found,
                "there is neither a user 'havn' nor 'nobody' to run the platform's parts as",
                "create one with `adduser --system --group havn`");
}

}  // namespace havn::supervisor
