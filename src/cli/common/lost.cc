#include "cli/common/lost.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <memory>

#include "io/fd.h"
#include "io/file.h"

namespace havn::cli {

namespace {

// What stands between the zero bytes of /proc/PID/cmdline.
std::vector<std::string> arguments_of(const std::string& folder) {
    std::vector<std::string> arguments;
    const Result<std::string> text = io::read_file(folder + "/cmdline");
    for (std::size_t at = 0; text && at < text->size();) {
        const std::size_t end = std::min(text->find('\0', at), text->size());
        arguments.push_back(text->substr(at, end - at));
        at = end + 1;
    }
    return arguments;
}

}  // namespace

std::vector<Keeper> running_keepers() {
    struct Close {
        void operator()(DIR* folder) const { ::closedir(folder); }
    };
    std::vector<Keeper> keepers;
    const std::unique_ptr<DIR, Close> folder(::opendir("/proc"));
    while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
        const std::string name(entry->d_name);
        int pid = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc{}) continue;
        struct stat status{};
        if (::stat(("/proc/" + name).c_str(), &status) != 0 || status.st_uid != ::geteuid()) continue;
        const std::vector<std::string> arguments = arguments_of("/proc/" + name);
        const bool is_keeper = arguments.size() >= 4 && arguments[0] == "havn" && arguments[1] == "keeper" &&
                               arguments[2] == "--data" && arguments.back() != "--clear";
        if (is_keeper) keepers.push_back({pid, arguments[3]});
    }
    return keepers;
}

Result<std::size_t> end_leftovers(const std::string& data) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
    const io::Fd reading(ends[0]);
    io::Fd writing(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return fail_errno("fork");
    if (pid == 0) {
        ::dup2(writing.get(), STDOUT_FILENO);
        const char* arguments[] = {"havn", "keeper", "--data", data.c_str(), "--clear", nullptr};
        ::execv("/proc/self/exe", const_cast<char**>(arguments));
        ::_exit(127);
    }
    writing.reset();
    char text[32] = {};
    const ssize_t size = ::read(reading.get(), text, sizeof text);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    std::size_t count = 0;
    if (size > 0) std::from_chars(text, text + size, count);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return count;
    return fail(Error::Kind::internal, "what an earlier platform left in " + data + " was not ended");
}

}  // namespace havn::cli
