#include "supervisor/runtime/platform_accounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <set>
#include <thread>

#include "io/file.h"
#include "supervisor/keeper/own_file.h"

namespace havn::supervisor {

namespace {

constexpr const char* kept_file = "accounts.json";
constexpr std::uint32_t kept_version = 2;
constexpr const char* claims_files[] = {"/var/lib/havn-accounts", "/run/havn-accounts"};
constexpr int lock_attempts = 100;
constexpr milliseconds lock_pause{50};

}  // namespace

const Account& Accounts::of_part(std::string_view part) const {
    if (part == "gateway") return gateway;
    return part == "broker" ? broker : control;
}

namespace {

uid_t number_or_none(const Json& object, const std::string& name) {
    const auto found = object.find(name);
    if (found == object.end()) return 0;
    return integer_of<uid_t>(*found, private_first, private_last).value_or(0);
}

std::string folder_of(const Json& claim) {
    const auto found = claim.is_object() ? claim.find("folder") : claim.end();
    return claim.is_object() && found != claim.end() && found->is_string() ? found->get<std::string>() : "";
}

// Whose claim it is; empty when it is nobody's.
std::string claimant(const Json& claims, uid_t number) {
    const auto found = claims.find(std::to_string(number));
    return found != claims.end() ? folder_of(*found) : "";
}

void drop_stale(Json& claims, const std::function<bool(const std::string&)>& is_there) {
    if (!claims.is_object()) claims = Json::object();
    std::vector<std::string> stale;
    for (const auto& [number, claim] : claims.items()) {
        if (!is_there(folder_of(claim))) stale.push_back(number);
    }
    for (const std::string& number : stale) claims.erase(number);
}

}  // namespace

Result<std::map<std::string, uid_t>> choose_private(const std::vector<std::string>& names,
                                                    const std::string& folder, const Json& kept, Json& claims,
                                                    uid_t begin, const std::function<bool(uid_t)>& is_free,
                                                    const std::function<bool(const std::string&)>& is_there) {
    constexpr uid_t count = private_last - private_first + 1;
    drop_stale(claims, is_there);
    std::map<std::string, uid_t> chosen;
    std::set<uid_t> taken;
    for (const std::string& name : names) {
        const uid_t number = number_or_none(kept, name);
        const std::string owner = number == 0 ? "" : claimant(claims, number);
        const bool ours = number != 0 && (owner == folder || (owner.empty() && is_free(number)));
        if (ours && taken.insert(number).second) chosen[name] = number;
    }
    uid_t next = begin % count;
    for (const std::string& name : names) {
        for (uid_t tried = 0; tried < count && !chosen.contains(name); ++tried, next = (next + 1) % count) {
            const uid_t number = private_first + next;
            const std::string owner = claimant(claims, number);
            const bool available = owner == folder || (owner.empty() && is_free(number));
            if (available && taken.insert(number).second) chosen[name] = number;
        }
        if (!chosen.contains(name)) {
            return fail(Error::Kind::unavailable,
                        fmt::format("no user number between {} and {} is free for {}", private_first,
                                    private_last, name),
                        fmt::format("create one with `adduser --system --group havn-{}`", name));
        }
    }
    drop_stale(claims, [&folder](const std::string& path) { return path != folder; });
    for (const auto& [name, number] : chosen) {
        claims[std::to_string(number)] = {{"folder", folder}, {"for", name}};
    }
    return chosen;
}

namespace {

// The real uids of all processes of the host.
std::set<uid_t> uids_in_use() {
    std::set<uid_t> uids;
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
         entry.increment(error)) {
        const Result<std::string> text = io::read_file(entry->path().string() + "/status");
        const std::size_t at = text ? text->find("\nUid:\t") : std::string::npos;
        if (at == std::string::npos) continue;
        uid_t uid = 0;
        std::from_chars(text->data() + at + 6, text->data() + text->size(), uid);
        uids.insert(uid);
    }
    return uids;
}

bool has_name(uid_t number) {
    return ::getpwuid(number) != nullptr || ::getgrgid(static_cast<gid_t>(number)) != nullptr;
}

bool is_systemds(uid_t number) {
    return ::access(fmt::format("/run/systemd/dynamic-uid/{}", number).c_str(), F_OK) == 0;
}

Result<io::Fd> open_claims() {
    Result<io::Fd> file = fail(Error::Kind::not_found, "");
    for (const char* path : claims_files) {
        file = io::open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (file) break;
    }
    if (!file) return file;
    for (int attempt = 0; ::flock(file->get(), LOCK_EX | LOCK_NB) != 0; ++attempt) {
        if (errno != EWOULDBLOCK || attempt == lock_attempts) {
            return fail_errno(std::string("lock ") + claims_files[0]);
        }
        std::this_thread::sleep_for(lock_pause);
    }
    return file;
}

Json read_json(const Result<std::string>& text) {
    const Result<Json> json = text ? parse_json(*text) : std::unexpected(text.error());
    return json && json->is_object() ? *json : Json::object();
}

// Version 1 was the numbers alone. Of a later version none is known: new ones are chosen.
Json numbers_of(const Json& document) {
    if (!document.contains("version")) return document;
    const bool known = integer_of<std::uint32_t>(document["version"]).value_or(0) <= kept_version;
    const auto numbers = document.find("numbers");
    return known && numbers != document.end() && numbers->is_object() ? *numbers : Json::object();
}

Result<> write_claims(int file, const Json& claims) {
    const std::string text = claims.dump(1) + "\n";
    if (::ftruncate(file, 0) != 0 || ::lseek(file, 0, SEEK_SET) != 0) return fail_errno("write user numbers");
    return io::write_all(file, text);
}

Result<std::map<std::string, uid_t>> claim_private(const std::vector<std::string>& names,
                                                   const std::string& folder) {
    if (names.empty()) return std::map<std::string, uid_t>();
    Result<io::Fd> file = open_claims();
    if (!file) return std::unexpected(file.error());
    const Json before = read_json(io::read_file("/proc/self/fd/" + std::to_string(file->get())));
    Json claims = before;
    const Json kept = numbers_of(read_json(read_own_file(kept_file)));
    const std::set<uid_t> used = uids_in_use();
    const auto is_free = [&used](uid_t number) {
        return !used.contains(number) && !has_name(number) && !is_systemds(number);
    };
    const auto is_there = [](const std::string& path) { return ::access(path.c_str(), F_OK) == 0; };
    std::uint32_t begin = 0;
    if (::getrandom(&begin, sizeof begin, 0) != sizeof begin) begin = static_cast<std::uint32_t>(::getpid());
    Result<std::map<std::string, uid_t>> chosen =
        choose_private(names, folder, kept, claims, begin, is_free, is_there);
    if (!chosen) return chosen;
    if (claims != before) {
        if (Result<> written = write_claims(file->get(), claims); !written) {
            return std::unexpected(written.error());
        }
    }
    const Json wanted(*chosen);
    if (wanted != kept) {
        const Json document{{"version", kept_version}, {"numbers", wanted}};
        if (Result<> written = write_own_file(kept_file, document.dump() + "\n"); !written) {
            return std::unexpected(written.error());
        }
    }
    return chosen;
}

Result<> check_named(const std::map<std::string, Account>& named) {
    std::map<uid_t, std::string> owners;
    for (const auto& [name, account] : named) {
        const auto [other, is_new] = owners.emplace(account.uid, account.name);
        if (account.uid != 0 && is_new) continue;
        return fail(
            Error::Kind::denied,
            account.uid == 0 ? "user " + account.name + " is root"
                             : fmt::format("users {} and {} are the same uid {}", other->second, account.name,
                                           account.uid),
            "each of Havn's parts needs a user of its own: `adduser --system --group " + account.name + "`");
    }
    return {};
}

}  // namespace

Result<Accounts> platform_accounts(const std::string& folder) {
    if (::geteuid() != 0) {
        const Account own = numbered_account(::geteuid(), ::getegid());
        return Accounts{own, own, own, own};
    }
    std::map<std::string, Account> accounts;
    std::vector<std::string> nameless;
    for (const char* name : {"app", "broker", "control", "gateway"}) {
        if (std::optional<Account> account = named_account(std::string("havn-") + name)) {
            accounts[name] = std::move(*account);
        } else {
            nameless.emplace_back(name);
        }
    }
    if (Result<> checked = check_named(accounts); !checked) return std::unexpected(checked.error());
    Result<std::map<std::string, uid_t>> numbers = claim_private(nameless, folder);
    if (!numbers) return std::unexpected(numbers.error());
    for (const auto& [name, number] : *numbers) {
        accounts[name] = numbered_account(number, static_cast<gid_t>(number));
    }
    for (auto& [name, account] : accounts) account.groups = {account.gid};
    Accounts all{accounts["gateway"], accounts["broker"], accounts["control"], accounts["app"]};
    // It gives each of them its configuration, through the group of the file.
    all.control.groups = {all.control.gid, all.gateway.gid, all.broker.gid};
    return all;
}

}  // namespace havn::supervisor
