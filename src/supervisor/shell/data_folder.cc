#include "supervisor/shell/data_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "io/file.h"

namespace havn::supervisor {

namespace {

constexpr int depth_max = 3;  // folders in folders: none of ours is deeper

struct Folder {
    const char* path;
    uid_t owner;
    gid_t group;
    mode_t mode;
};

// As root. Entering is not reading: a part reaches its own files through folders it cannot list.
std::vector<Folder> folders_of(const Accounts& accounts) {
    const uid_t root = 0;
    const Account& control = accounts.control;
    return {
        {"applied", control.uid, control.gid, 0711},  // gateway.json and broker.json by their groups
        {"queue", accounts.broker.uid, accounts.broker.gid, 0700},
        {"run", root, root, 0711},
        {"logs", root, control.gid, 02751},  // set-group-id: control reads what is made here
        {"logs/gateway", accounts.gateway.uid, control.gid, 02750},
    };
}

struct CloseFolder {
    void operator()(DIR* folder) const { ::closedir(folder); }
};

// What `former` owns in the folder goes to `owner`. Another may write there: links are not followed, and a
// file with a second name is left alone.
void hand_over(int folder, uid_t former, const Folder& owner, int depth) {
    const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, CloseFolder> listing(copy < 0 ? nullptr : ::fdopendir(copy));
    while (const dirent* entry = listing ? ::readdir(listing.get()) : nullptr) {
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
        const io::Fd file(::openat(folder, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        struct stat status{};
        if (!file || ::fstat(file.get(), &status) != 0 || status.st_uid != former) continue;
        if (S_ISDIR(status.st_mode) && depth > 0) hand_over(file.get(), former, owner, depth - 1);
        const bool plain = S_ISREG(status.st_mode) && status.st_nlink == 1;
        if (!plain && !S_ISDIR(status.st_mode)) continue;
        std::ignore = ::fchown(file.get(), owner.owner, owner.group);  // the part says what it cannot read
    }
}

Result<> make_one(const Folder& folder) {
    const std::string path = folder.path;
    if (Result<> made = io::make_folder(path, 0700); !made) return made;
    Result<io::Fd> opened = io::open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) return std::unexpected(opened.error());
    struct stat status{};
    if (::fstat(opened->get(), &status) != 0) return fail_errno("stat " + path);
    if (::fchown(opened->get(), folder.owner, folder.group) != 0) return fail_errno("chown " + path);
    if (::fchmod(opened->get(), folder.mode) != 0) return fail_errno("chmod " + path);
    const bool moved = status.st_uid != folder.owner && status.st_uid != 0;
    if (moved) hand_over(opened->get(), status.st_uid, folder, depth_max);
    return {};
}

}  // namespace

Result<> enter_data_folder(const std::string& path) {
    const std::string remedy = "give another folder with --data DIR, or make this one writable";
    if (Result<> made = io::make_folder(path, 0700); !made) {
        return fail(made.error().kind, made.error().message, remedy);
    }
    Result<io::Fd> folder = io::open_own_folder(path);
    if (!folder) return std::unexpected(folder.error());
    if (::fchdir(folder->get()) != 0) return fail_errno("enter " + path);
    // The parts, under their own users, reach theirs by paths relative to it. Instances have nothing here.
    const mode_t mode = ::geteuid() == 0 ? 0711 : 0700;
    if (::fchmod(folder->get(), mode) != 0) return fail_errno("chmod " + path);
    if (::access(".", W_OK | X_OK) != 0) {
        Error error = fail_errno("write to " + path).error();
        error.remedy = remedy;
        return std::unexpected(std::move(error));
    }
    return {};
}

Result<> prepare_folders(const std::string& path, const Accounts& accounts) {
    for (Folder folder : folders_of(accounts)) {
        if (!accounts.control.change) folder = {folder.path, ::geteuid(), ::getegid(), 0700};
        if (Result<> made = make_one(folder); !made) {
            return fail(made.error().kind, path + ": " + made.error().message,
                        "give another folder with --data DIR, or make this one writable");
        }
    }
    return {};
}

Result<io::Fd> lock_data_folder(const std::string& path) {
    // Ours alone: whoever may read it could hold it.
    Result<io::Fd> lock = io::open_regular("run/lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (!lock) return lock;
    if (::fchmod(lock->get(), 0600) != 0) return fail_errno("chmod " + path + "/run/lock");
    // Of the open file, not of the process, and found by whoever asks (F_OFD_GETLK) without being tried.
    struct flock whole{};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(lock->get(), F_OFD_SETLK, &whole) == 0) return lock;
    if (errno != EAGAIN && errno != EACCES) return fail_errno("lock " + path + "/run/lock");
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
    if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, text.data(), text.size(), 0) < 0) {
        return fail_errno("write run/lock");
    }
    return {};
}

}  // namespace havn::supervisor
