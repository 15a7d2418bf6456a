#include "supervisor/runtime/launch.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "io/inherited.h"
#include "io/link.h"
#include "supervisor/core/authority.h"
#include "supervisor/core/command.h"
#include "supervisor/keeper/descriptor_limit.h"
#include "supervisor/runtime/process_view.h"

extern char** environ;

namespace havn::supervisor {

namespace {

// What a process gets of the environment `havn up` was typed in: its language and its time zone, and where
// programs are found. Not the rest: it is one person's, with keys and tokens in it, and would stay for as
// long as the platform runs. As root PATH is the system's: the invoker's own programs are not for others.
std::map<std::string, std::string> base_environment(Role role) {
    static constexpr std::string_view everyone[] = {"LANG=", "LC_", "TZ=", "PATH="};
    // How the parts log, and how a build with sanitizers reports.
    static constexpr std::string_view parts[] = {
        "HAVN_LOG=", "ASAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS="};
    std::map<std::string, std::string> variables;
    for (char** at = environ; *at; ++at) {
        const std::string_view text(*at);
        const auto is_named = [text](std::string_view start) { return text.starts_with(start); };
        const bool passes = std::ranges::any_of(everyone, is_named) ||
                            (role == Role::platform && std::ranges::any_of(parts, is_named));
        const std::size_t end = text.find('=');
        if (passes && end != std::string_view::npos) {
            variables[std::string(text.substr(0, end))] = text.substr(end + 1);
        }
    }
    if (::geteuid() == 0 || !variables.contains("PATH")) {
        variables["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    }
    return variables;
}

using Variables = std::map<std::string, std::string>;

void launch_part(const Instance& part, const Accounts& accounts, int executable, SpawnRequest& request,
                 Variables& variables) {
    request.account = accounts.of_part(part.name);
    request.confined = true;
    request.executable = executable;
    request.arguments = {"havn", part.name};
    request.directory = ".";
    variables[io::link_variable] = std::to_string(link_descriptor);
    variables[io::rpc_variable] = std::to_string(rpc_descriptor);
    variables[io::callers_variable] =
        std::to_string(part.name == "control" ? ::geteuid() : accounts.control.uid);
    if (part.name == "control" && accounts.control.change) {
        variables[io::groups_variable] = fmt::format("{} {}", accounts.gateway.gid, accounts.broker.gid);
    }
}

}  // namespace

Result<Account> account_of(const Program& program, const Accounts& accounts,
                           std::optional<uid_t>& folder_owner) {
    Result<Account> account = account_for(program.user, program.directory, accounts.app);
    if (!account || ::geteuid() != 0) return account;
    struct stat folder{};
    if (::stat(program.directory.c_str(), &folder) != 0) return fail_errno("folder " + program.directory);
    folder_owner = folder.st_uid;
    const Result<> may = may_run(program, {account->uid, folder.st_uid, accounts.app.uid});
    if (!may) return std::unexpected(may.error());
    return account;
}

Result<SpawnRequest> launch_request(const Instance& instance, std::uint16_t port, const std::string& cookie,
                                    const Accounts& accounts, int executable) {
    SpawnRequest request;
    Variables variables = base_environment(instance.role);
    if (instance.role == Role::platform) {
        launch_part(instance, accounts, executable, request, variables);
    } else {
        Result<Account> account = account_of(*instance.program, accounts, request.folder_owner);
        if (!account) return std::unexpected(account.error());
        request.account = std::move(*account);
        request.arguments = parse_command(instance.program->command).arguments;
        request.directory = instance.program->directory;
        request.files_soft = files_soft_of_programs();
    }
    variables["HOME"] = request.account.home;
    variables["USER"] = variables["LOGNAME"] = request.account.name;
    variables["SHELL"] = request.account.shell;
    for (const auto& [name, value] : instance.program->environment) variables[name] = value;
    if (instance.role != Role::platform) {
        variables["HAVN_NAME"] = instance.name;
        variables["HAVN_INSTANCE"] = std::to_string(instance.number);
    }
    if (port != 0) variables["PORT"] = std::to_string(port);
    variables[std::string(cookie_variable)] = cookie;
    for (const auto& [name, value] : variables) request.environment.push_back(name + "=" + value);
    return request;
}

}  // namespace havn::supervisor
