#include "supervisor/shell/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "io/file.h"

namespace havn::supervisor {

namespace {

struct Folder {
    const char* path;
    bool shared;  // ours, but the parts make files in it
};
constexpr Folder folders[] = {{"applied", false}, {"queue", false}, {"run", true}, {"logs", true}};

Result<> make_one(const Folder& folder, const Account& parts) {
    if (Result<> made = io::make_folder(folder.path); !made) return made;
    Result<io::Fd> opened = io::open_file(folder.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) return std::unexpected(opened.error());
    if (!parts.change) return {};
    const uid_t owner = folder.shared ? ::geteuid() : parts.uid;
    if (::fchown(opened->get(), owner, parts.gid) != 0)
        return fail_errno(std::string("chown ") + folder.path);
    // Set-group-id: control reads the logs, which we write, through their group.
    const mode_t mode = folder.shared ? 03771 : 0750;
    if (::fchmod(opened->get(), mode) != 0) return fail_errno(std::string("chmod ") + folder.path);
    return {};
}

}  // namespace

Result<> enter_data_folder(const std::string& path, const Account& parts) {
    const std::string remedy = "give another folder with --data DIR, or make this one writable";
    if (Result<> made = io::make_folder(path, 0755); !made) {
        return fail(made.error().kind, made.error().message, remedy);
    }
    if (::chdir(path.c_str()) != 0) return fail_errno("enter " + path);
    if (::access(".", W_OK | X_OK) != 0) {
        Error error = fail_errno("write to " + path).error();
        error.remedy = remedy;
        return std::unexpected(std::move(error));
    }
    // The parts, under their own user, reach everything from here on by relative paths.
    if (parts.change && ::chmod(".", 0755) != 0) return fail_errno("chmod " + path);
    for (const Folder& folder : folders) {
        if (Result<> made = make_one(folder, parts); !made) {
            return fail(made.error().kind, path + ": " + made.error().message, remedy);
        }
    }
    return {};
}

Result<io::Fd> lock_data_folder(const std::string& path) {
    Result<io::Fd> lock = io::open_file("run/lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
    if (!lock) return lock;
    if (::flock(lock->get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno != EWOULDBLOCK) return fail_errno("lock " + path + "/run/lock");
    char holder[32] = {};
    const ssize_t size = ::pread(lock->get(), holder, sizeof holder - 1, 0);
    std::string pid(holder, size > 0 ? static_cast<std::size_t>(size) : 0);
    while (!pid.empty() && pid.back() == '\n') pid.pop_back();
    return fail(Error::Kind::conflict,
                "the platform of " + path + " is already running" +
                    (pid.empty() ? "" : " (supervisor pid " + pid + ")"),
                "`havn down` stops it, `havn ps` shows it");
}

Result<> sign_lock(int lock) {
    const std::string text = std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, text.data(), text.size(), 0) < 0)
        return fail_errno("write run/lock");
    return {};
}

Result<> write_state(const std::string& path, const std::string& text) {
    const std::string draft = path + ".new";
    ::unlink(draft.c_str());
    {
        Result<io::Fd> file = io::open_file(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (!file) return std::unexpected(file.error());
        if (Result<> written = io::write_all(file->get(), text); !written) return written;
    }
    if (::rename(draft.c_str(), path.c_str()) != 0) return fail_errno("rename " + draft);
    return {};
}

Result<std::string> read_state(const std::string& path) {
    Result<io::Fd> file = io::open_file(path, O_RDONLY | O_NOFOLLOW);
    if (!file) return std::unexpected(file.error());
    struct stat status{};
    if (::fstat(file->get(), &status) != 0) return fail_errno(path);
    if (status.st_uid != ::geteuid()) {
        return fail(Error::Kind::denied, path + " belongs to another user; it is not believed");
    }
    return io::read_file("/proc/self/fd/" + std::to_string(file->get()));
}

}  // namespace havn::supervisor
