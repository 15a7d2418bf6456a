#include "supervisor/keeper/own_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

namespace havn::supervisor {

Result<> write_own_file(const std::string& path, std::string_view text, bool synced) {
    return io::replace_file(path, text, {.mode = 0600, .reader = {}, .synced = synced});
}

Result<io::Fd> append_to_own_file(const std::string& path) {
    Result<io::Fd> file = io::open_file(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    if (!file) return file;
    struct stat status{};
    if (::fstat(file->get(), &status) != 0) return fail_errno(path);
    if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid()) {
        return fail(Error::Kind::denied, path + " belongs to another user");
    }
    return file;
}

Result<std::string> read_own_file(const std::string& path) {
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
