#include "supervisor/runtime/account.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

namespace havn::supervisor {

namespace {

Account from_entry(const passwd& entry) {
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

}  // namespace

std::optional<Account> named_account(const std::string& name) {
    const passwd* entry = ::getpwnam(name.c_str());
    return entry ? std::optional(from_entry(*entry)) : std::nullopt;
}

Account numbered_account(uid_t uid, gid_t gid) {
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

namespace {

// As getpwnam first: a user may be called by digits.
std::optional<Account> account_called(const std::string& name) {
    if (std::optional<Account> account = named_account(name)) return account;
    uid_t uid = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), uid);
    if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    if (uid == static_cast<uid_t>(-1)) return std::nullopt;  // setuid() would take it for "no change"
    return numbered_account(uid, static_cast<gid_t>(uid));
}

}  // namespace

Result<Account> account_for(const std::string& name, const std::string& directory, const Account& app) {
    const bool root = ::geteuid() == 0;
    if (!name.empty()) {
        std::optional<Account> account = account_called(name);
        if (!account) {
            return fail(Error::Kind::not_found, "there is no user '" + name + "'",
                        "create it with `adduser --system " + name + "`, or name another in `user`");
        }
        if (!root && account->uid != ::geteuid()) {
            return fail(Error::Kind::denied, "only root can run a program as user '" + name + "'",
                        "start the platform with sudo, or remove `user`");
        }
        return *std::move(account);
    }
    if (!root) return numbered_account(::geteuid(), ::getegid());
    struct stat status{};
    if (::stat(directory.c_str(), &status) != 0) return fail_errno("folder " + directory);
    return status.st_uid == 0 ? app : numbered_account(status.st_uid, status.st_gid);
}

}  // namespace havn::supervisor
