#include "supervisor/keeper/keeper_handover.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"

namespace havn::supervisor {

namespace {

constexpr const char* handover_variable = "HAVN_KEPT";  // a descriptor with {"name": descriptor, …}

}  // namespace

void execute_self(const char* role, const Options& options) {
    std::vector<std::string> arguments = {"havn", role, "--data", options.data};
    if (options.foreground) arguments.emplace_back("--foreground");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    ::execv("/proc/self/exe", pointers.data());
}

void become_keeper(const Options& options, const std::map<std::string, io::Fd>& kept) {
    Json names = Json::object();
    for (const auto& [name, fd] : kept) {
        ::fcntl(fd.get(), F_SETFD, 0);
        names[name] = fd.get();
    }
    const io::Fd list(::memfd_create("kept", 0));
    if (!list || !io::write_all(list.get(), names.dump())) return;
    ::setenv(handover_variable, std::to_string(list.get()).c_str(), 1);
    execute_self("keeper", options);
}

std::map<std::string, io::Fd> take_handover() {
    std::map<std::string, io::Fd> kept;
    const char* number = std::getenv(handover_variable);
    if (!number) return kept;
    const io::Fd list(std::atoi(number));
    ::unsetenv(handover_variable);
    const Result<std::string> text = io::read_file("/proc/self/fd/" + std::to_string(list.get()));
    if (!text) return kept;
    const Result<Json> names = parse_json(*text);
    if (!names) return kept;
    for (const auto& [name, fd] : names->items()) {
        const std::optional<int> number = integer_of<int>(fd, 0);
        if (!number) continue;
        io::Fd owned(*number);
        ::fcntl(owned.get(), F_SETFD, FD_CLOEXEC);
        kept.emplace(name, std::move(owned));
    }
    return kept;
}

void redirect_standard_streams(const std::string& file) {
    if (const io::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC)); null) ::dup2(null.get(), 0);
    const Result<io::Fd> log = io::open_regular(file, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
    if (!log) return;
    ::dup2(log->get(), 1);
    ::dup2(log->get(), 2);
}

}  // namespace havn::supervisor
