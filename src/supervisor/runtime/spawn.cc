#include "supervisor/runtime/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "supervisor/runtime/process_view.h"

namespace havn::supervisor {

namespace {

enum class Stage : int { descriptors, folder, user, program };

struct Failure {
    Stage stage;
    int error;
};

// Everything the child needs, prepared before the fork: after it, only system calls.
struct Prepared {
    std::vector<char*> arguments;
    std::vector<char*> environment;
    std::vector<std::string> candidates;  // paths to try in turn
    std::vector<const char*> candidate_pointers;
    int null = -1;
    int status = -1;
};

std::string_view path_of(const SpawnRequest& request) {
    for (const std::string& variable : request.environment) {
        if (variable.starts_with("PATH=")) return std::string_view(variable).substr(5);
    }
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

void prepare(const SpawnRequest& request, Prepared& prepared) {
    for (const std::string& text : request.arguments) {
        prepared.arguments.push_back(const_cast<char*>(text.c_str()));
    }
    for (const std::string& text : request.environment) {
        prepared.environment.push_back(const_cast<char*>(text.c_str()));
    }
    prepared.arguments.push_back(nullptr);
    prepared.environment.push_back(nullptr);
    const std::string& program = request.arguments.front();
    if (program.find('/') != std::string::npos) {
        prepared.candidates.push_back(program);
    } else {
        std::string_view path = path_of(request);
        while (!path.empty()) {
            const std::size_t end = std::min(path.find(':'), path.size());
            prepared.candidates.push_back(
                fmt::format("{}/{}", end == 0 ? "." : path.substr(0, end), program));
            path.remove_prefix(std::min(end + 1, path.size()));
        }
    }
    for (const std::string& text : prepared.candidates) prepared.candidate_pointers.push_back(text.c_str());
}

[[noreturn]] void give_up(const Prepared& prepared, Stage stage, int error) {
    const Failure failure{stage, error};
    [[maybe_unused]] const ssize_t written = ::write(prepared.status, &failure, sizeof failure);
    ::_exit(127);
}

void reset_signals() {
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Descriptors 0, 1, 2 and perhaps 3 and 4. Sources are first moved out of that range, so that none is
// overwritten.
bool place_descriptors(const SpawnRequest& request, const Prepared& prepared) {
    const int output = ::fcntl(request.output, F_DUPFD_CLOEXEC, 10);
    const int errors = request.errors < 0 ? output : ::fcntl(request.errors, F_DUPFD_CLOEXEC, 10);
    const int null = ::fcntl(prepared.null, F_DUPFD_CLOEXEC, 10);
    const int link = request.link < 0 ? -1 : ::fcntl(request.link, F_DUPFD_CLOEXEC, 10);
    const int rpc = request.rpc < 0 ? -1 : ::fcntl(request.rpc, F_DUPFD_CLOEXEC, 10);
    if (output < 0 || errors < 0 || null < 0) return false;
    if ((request.link >= 0 && link < 0) || (request.rpc >= 0 && rpc < 0)) return false;
    if (::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(errors, 2) < 0) return false;
    unsigned first = link_descriptor;
    if (link >= 0) {
        if (::dup2(link, link_descriptor) < 0) return false;
        first = link_descriptor + 1;
    }
    if (rpc >= 0) {
        if (::dup2(rpc, rpc_descriptor) < 0) return false;
        first = rpc_descriptor + 1;
    }
    return ::syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC) == 0;
}

[[noreturn]] void run_child(const SpawnRequest& request, Prepared& prepared) {
    ::setsid();
    reset_signals();
    ::umask(022);
    if (prepared.status <= rpc_descriptor) prepared.status = ::fcntl(prepared.status, F_DUPFD_CLOEXEC, 10);
    const int executable = request.executable < 0 ? -1 : ::fcntl(request.executable, F_DUPFD_CLOEXEC, 10);
    if (!place_descriptors(request, prepared)) give_up(prepared, Stage::descriptors, errno);
    if (::chdir(request.directory.c_str()) != 0) give_up(prepared, Stage::folder, errno);
    if (request.files_soft > 0) {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = std::min<rlim_t>(request.files_soft, limit.rlim_max);
        if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) give_up(prepared, Stage::descriptors, errno);
    }
    struct stat folder{};  // it may have been exchanged since it was looked at
    if (request.folder_owner && (::stat(".", &folder) != 0 || folder.st_uid != *request.folder_owner)) {
        give_up(prepared, Stage::folder, EPERM);
    }
    const Account& account = request.account;
    if (account.change && (::setgroups(account.groups.size(), account.groups.data()) != 0 ||
                           ::setgid(account.gid) != 0 || ::setuid(account.uid) != 0)) {
        give_up(prepared, Stage::user, errno);
    }
    // Entered as ourselves: a folder above may be closed to the user. This one must not be.
    if (account.change && ::faccessat(AT_FDCWD, ".", X_OK, AT_EACCESS) != 0) {
        give_up(prepared, Stage::folder, errno);
    }
    if (request.confined && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        give_up(prepared, Stage::user, errno);
    }
    if (executable >= 0) {
        ::syscall(SYS_execveat, executable, "", prepared.arguments.data(), prepared.environment.data(),
                  AT_EMPTY_PATH);
        give_up(prepared, Stage::program, errno);
    }
    int error = ENOENT;
    for (const char* candidate : prepared.candidate_pointers) {
        ::execve(candidate, prepared.arguments.data(), prepared.environment.data());
        if (errno != ENOENT && errno != ENOTDIR) error = errno;
    }
    give_up(prepared, Stage::program, error);
}

}  // namespace

Result<Spawned> spawn(const SpawnRequest& request) {
    Prepared prepared;
    prepare(request, prepared);
    int status[2];
    if (::pipe2(status, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("pipe");
    const io::Fd status_end(status[1]);
    Spawned spawned;
    spawned.status = io::Fd(status[0]);
    const io::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return fail_errno("open /dev/null");
    prepared.null = null.get();
    prepared.status = status_end.get();

    // No handler of ours may run in the child between fork and exec.
    sigset_t all, before;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    spawned.pid = ::fork();
    if (spawned.pid == 0) run_child(request, prepared);
    const int error = errno;
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    if (spawned.pid < 0) return fail_errno("start a process", error);

    spawned.pidfd = io::Fd(static_cast<int>(::syscall(SYS_pidfd_open, spawned.pid, 0)));
    spawned.start_time = start_time_of(spawned.pid).value_or(0);  // ours and not reaped: it is there
    if (!spawned.pidfd) return fail_errno("pidfd_open");
    return spawned;
}

Exit exit_of(int status) {
    if (WIFEXITED(status)) return {fmt::format("exit {}", WEXITSTATUS(status)), WEXITSTATUS(status), {}};
    const int signal = WTERMSIG(status);
    return {fmt::format("signal {} ({})", signal, ::strsignal(signal)), {}, signal};
}

std::optional<Error> spawn_failure(int status, const SpawnRequest& request) {
    Failure failure{};
    if (::read(status, &failure, sizeof failure) != sizeof failure) return std::nullopt;
    const std::string& program = request.arguments.front();
    const std::string why = std::strerror(failure.error);
    switch (failure.stage) {
        case Stage::descriptors:
            return Error{Error::Kind::internal, "cannot pass its descriptors: " + why, {}};
        case Stage::folder:
            return Error{Error::Kind::not_found,
                         fmt::format("cannot enter folder {}: {}", request.directory, why),
                         failure.error != EACCES
                             ? ""
                             : fmt::format("it runs as user {}: let that user in (chmod o+rx {}), or name "
                                           "another in `user`",
                                           request.account.name, request.directory)};
        case Stage::user:
            return Error{Error::Kind::denied,
                         fmt::format("cannot become user '{}': {}", request.account.name, why),
                         {}};
        case Stage::program:
            break;
    }
    if (failure.error != ENOENT) {
        const std::string remedy =
            failure.error == EACCES ? "chmod +x it, or check who may read its folder" : "";
        return Error{Error::Kind::denied, fmt::format("cannot execute '{}': {}", program, why), remedy};
    }
    if (program.find('/') != std::string::npos) {
        return Error{Error::Kind::not_found,
                     fmt::format("command '{}' not found, or the interpreter it names", program),
                     fmt::format("it was looked up from {}", request.directory)};
    }
    return Error{Error::Kind::not_found,
                 fmt::format("command '{}' not found in PATH={}", program, path_of(request)),
                 "install it, or give its full path in `command`"};
}

}  // namespace havn::supervisor
