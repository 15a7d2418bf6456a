#include "preflight/preflight.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "base/text/path.h"
#include "io/net.h"
#include "supervisor/core/command.h"

namespace havn::preflight {

namespace {

constexpr const char* default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* own_user = "of its own";
constexpr uid_t stranger = 2'147'000'000;  // in no group, owner of nothing: sees what everybody may see
constexpr unsigned look_seconds = 5;       // a file system that does not answer is no finding

struct User {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string name;
};

User user_from(const passwd& entry) {
    User user{entry.pw_uid, entry.pw_gid, {}, entry.pw_name};
    int count = 64;
    user.groups.resize(64);
    if (::getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0) {
        user.groups = {entry.pw_gid};
    } else {
        user.groups.resize(static_cast<std::size_t>(count));
    }
    return user;
}

User user_from(uid_t uid, gid_t gid) {
    if (const passwd* entry = ::getpwuid(uid)) return user_from(*entry);
    return {uid, gid, {gid}, std::to_string(uid)};
}

std::optional<User> user_called(const std::string& name) {
    if (const passwd* entry = ::getpwnam(name.c_str())) return user_from(*entry);
    uid_t uid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), uid);
    if (error != std::errc{} || end != name.data() + name.size() || uid == static_cast<uid_t>(-1)) {
        return std::nullopt;
    }
    return user_from(uid, static_cast<gid_t>(uid));
}

// What the child finds out: 0, or an errno below 100; plus 100 when it is the program's and not the folder's.
constexpr int program_offset = 100;

struct Look {
    std::string folder;
    std::vector<std::string> candidates;  // of the program; empty: it is not looked for
};

int look(const Look& what) {
    if (::chdir(what.folder.c_str()) != 0) return std::min(errno, program_offset - 1);
    int error = 0;
    for (const std::string& candidate : what.candidates) {
        struct stat status{};
        if (::stat(candidate.c_str(), &status) != 0) {
            // Of many folders some may be closed to this user; that is no word about the program.
            const bool says_nothing = errno == ENOTDIR || what.candidates.size() > 1;
            if (error == 0) error = says_nothing ? ENOENT : errno;
        } else if (!S_ISREG(status.st_mode) || ::access(candidate.c_str(), X_OK) != 0) {
            error = EACCES;
        } else {
            return 0;
        }
    }
    return error == 0 ? 0 : program_offset + std::min(error, program_offset - 1);
}

// Looks as `user`, in a child: neither our folder nor our user changes.
int look_as(const User& user, const Look& what) {
    const pid_t child = ::fork();
    if (child < 0) return 0;
    if (child == 0) {
        ::signal(SIGALRM, SIG_DFL);
        ::alarm(look_seconds);
        const bool is_other = ::geteuid() == 0 && user.uid != 0;
        if (is_other && (::setgroups(user.groups.size(), user.groups.data()) != 0 ||
                         ::setgid(user.gid) != 0 || ::setuid(user.uid) != 0)) {
            ::_exit(0);
        }
        ::_exit(look(what));
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

// What /bin/sh knows without looking for a file.
bool is_of_the_shell(std::string_view word) {
    static constexpr std::string_view words[] = {
        ".",     ":",    "[",     "alias", "bg",     "break", "case",   "cd",       "command", "continue",
        "echo",  "eval", "exec",  "exit",  "export", "false", "fg",     "for",      "getopts", "hash",
        "if",    "jobs", "kill",  "local", "printf", "pwd",   "read",   "readonly", "return",  "set",
        "shift", "test", "times", "trap",  "true",   "type",  "ulimit", "umask",    "unalias", "unset",
        "until", "wait", "while", "{",     "!",      "("};
    return std::ranges::find(words, word) != std::end(words);
}

// The program a command begins with; empty when only a shell can tell.
std::string program_in(const std::string& command) {
    const supervisor::Command parsed = supervisor::parse_command(command);
    if (parsed.arguments.empty()) return {};
    const bool by_shell = parsed.arguments.front() == "/bin/sh" && parsed.arguments.size() == 3;
    if (!by_shell) return parsed.arguments.front();
    std::string_view text = command;
    for (;;) {
        text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
        const std::string_view word = text.substr(0, text.find_first_of(" \t"));
        text.remove_prefix(word.size());
        if (word == "exec") continue;
        const bool plain = !word.empty() && word.find_first_not_of(
                                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
                                                "QRSTUVWXYZ0123456789_./+-") == word.npos;
        return plain && !is_of_the_shell(word) ? std::string(word) : std::string();
    }
}

// Where the program may be. The PATH the platform has may be another than ours: the usual folders count too.
std::vector<std::string> candidates_for(const std::string& program, const manifest::Program& of) {
    if (program.empty()) return {};
    if (program.find('/') != std::string::npos) return {program};
    const auto own = of.env.find("PATH");
    const char* ours = std::getenv("PATH");
    std::string path =
        own != of.env.end() ? own->second : fmt::format("{}:{}", ours ? ours : "", default_path);
    std::vector<std::string> candidates;
    for (std::string_view rest = path; !rest.empty();) {
        const std::size_t end = std::min(rest.find(':'), rest.size());
        if (end > 0) candidates.push_back(fmt::format("{}/{}", rest.substr(0, end), program));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return candidates;
}

class Checker {
  public:
    explicit Checker(const Surroundings& surroundings) : surroundings_(surroundings) {}

    void check(const manifest::Program& program, std::string_view table) {
        where_ = fmt::format("[{}.{}]", table, program.name);
        const std::string folder = path_from(surroundings_.directory, program.directory);
        struct stat status{};
        if (::stat(folder.c_str(), &status) != 0) return add_folder(folder, errno, {});
        const std::optional<User> user = user_of(program, status);
        if (!user) return;
        const std::string name = program_in(program.command);
        const Look what{folder, candidates_for(name, program)};
        const int found = look_as(*user, what);
        if (found >= program_offset) return add_program(name, folder, found - program_offset, user->name);
        if (found != 0) add_folder(folder, found, user->name);
    }

    void check_listen(const std::vector<std::string>& addresses, std::string_view table) {
        for (const std::string& address : addresses) {
            const std::string port = address.substr(address.rfind(':'));
            // On a port the platform has already, only the supervisor can tell.
            if (std::ranges::any_of(surroundings_.listening,
                                    [&port](const std::string& own) { return own.ends_with(port); })) {
                continue;
            }
            const Result<io::Fd> socket = io::listen_on(address, {.backlog = 1});
            if (socket) continue;
            Error error = socket.error();
            error.message = fmt::format("[{}] {}", table, error.message);
            found_.push_back(std::move(error));
        }
    }

    std::vector<Error> take() { return std::move(found_); }

  private:
    // The supervisor's rule: the user that is named, by name or number; else the owner of the folder; where
    // that is root, a private user of the platform, whose number is nobody else's. Not as root: always ours.
    std::optional<User> user_of(const manifest::Program& program, const struct stat& folder) {
        const bool root = ::geteuid() == 0;
        if (program.user.empty()) {
            if (!root) return user_from(::geteuid(), ::getegid());
            if (folder.st_uid == 0) return User{stranger, stranger, {stranger}, own_user};
            return user_from(folder.st_uid, folder.st_gid);
        }
        const std::optional<User> user = user_called(program.user);
        if (!user) {
            add(Error::Kind::not_found, fmt::format("there is no user '{}'", program.user),
                fmt::format("create it with `adduser --system {}`, or name another in `user`", program.user));
        } else if (!root && user->uid != ::geteuid()) {
            add(Error::Kind::denied, fmt::format("only root can run it as user '{}'", program.user),
                "start the platform with sudo, or remove `user`");
            return std::nullopt;
        }
        return user;
    }

    void add(Error::Kind kind, const std::string& message, std::string remedy) {
        found_.push_back({kind, where_ + " " + message, std::move(remedy)});
    }

    void add_folder(const std::string& folder, int error, const std::string& user) {
        std::string remedy = fmt::format("make it with `mkdir -p {}`, or correct `directory`", folder);
        if (error == ENOTDIR) remedy = "`directory` has to name a folder";
        if (error == EACCES) {
            remedy = fmt::format(
                "let user '{}' enter it and all folders above it (chmod o+x, or chown), or "
                "name another in `user`",
                user.empty() ? "you" : user);
        }
        add(error == EACCES ? Error::Kind::denied : Error::Kind::not_found,
            fmt::format("folder {}: {}", folder, ::strerror(error)), std::move(remedy));
    }

    void add_program(const std::string& program, const std::string& folder, int error,
                     const std::string& user) {
        const bool has_path = program.find('/') != std::string::npos;
        const std::string seen_from = program.starts_with('/') ? "" : fmt::format(" (seen from {})", folder);
        if (error == ENOENT && has_path) {
            return add(Error::Kind::not_found,
                       fmt::format("the command '{}' is not there{}", program, seen_from),
                       "correct `command` or `directory`");
        }
        if (error == ENOENT) {
            return add(Error::Kind::not_found,
                       fmt::format("the command '{}' is in no folder of the PATH", program),
                       "install it, correct `command`, or write its whole path");
        }
        add(Error::Kind::denied,
            fmt::format("the command '{}' cannot be executed by user '{}': {}", program, user,
                        ::strerror(error)),
            fmt::format("`chmod +x` it, or put its interpreter before it: command = \"sh {}\"", program));
    }

    const Surroundings& surroundings_;
    std::string where_;
    std::vector<Error> found_;
};

}  // namespace

std::vector<Error> examine(const manifest::Manifest& manifest, const Surroundings& surroundings) {
    Checker checker(surroundings);
    for (const manifest::Service& service : manifest.services) checker.check(service, "service");
    for (const manifest::Worker& worker : manifest.workers) checker.check(worker, "worker");
    checker.check_listen(manifest.gateway.listen, "gateway");
    if (manifest.broker.url.empty()) checker.check_listen(manifest.broker.listen, "broker");
    checker.check_listen(manifest.metrics.listen, "metrics");
    return checker.take();
}

}  // namespace havn::preflight
