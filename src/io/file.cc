#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

namespace havn::io {

Result<Fd> open_file(const std::string& path, int flags, unsigned mode) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, mode);
    if (fd < 0) return fail_errno("open " + path);
    return Fd(fd);
}

Result<Fd> open_regular(const std::string& path, int flags, unsigned mode) {
    Result<Fd> file = open_file(path, flags, mode);
    if (!file) return file;
    struct stat status{};
    if (::fstat(file->get(), &status) != 0) return fail_errno("stat " + path);
    if (!S_ISREG(status.st_mode)) return fail(Error::Kind::invalid, "open " + path + ": not a regular file");
    return file;
}

Result<Fd> open_own_folder(const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return fail_errno("open " + path);
    if (!S_ISDIR(status.st_mode)) {
        if (!S_ISLNK(status.st_mode)) {
            return fail(Error::Kind::denied, path + " is no folder", "give another one with --data DIR");
        }
        return fail(Error::Kind::denied, path + " is a link; a data folder must not be one",
                    "name the folder it points to with --data DIR");
    }
    Result<Fd> folder = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const bool opened = folder && ::fstat(folder->get(), &status) == 0;
    if (status.st_uid != ::geteuid()) {
        const std::string owner = std::to_string(status.st_uid);
        return fail(Error::Kind::denied,
                    path + " belongs to uid " + owner + ", this is uid " + std::to_string(::geteuid()) +
                        ": what stands in it is not believed",
                    "run it as its owner, or give another folder with --data DIR, or remove this one");
    }
    if (!folder) return folder;
    if (!opened) return fail_errno("stat " + path);
    return folder;
}

Result<std::string> read_file(const std::string& path) {
    Result<Fd> file = open_regular(path, O_RDONLY);
    if (!file) return std::unexpected(file.error());
    std::string text;
    char buffer[65536];
    for (;;) {
        const ssize_t size = ::read(file->get(), buffer, sizeof buffer);
        if (size > 0) {
            text.append(buffer, static_cast<std::size_t>(size));
        } else if (size == 0) {
            return text;
        } else if (errno != EINTR) {
            return fail_errno("read " + path);
        }
    }
}

Result<> write_all(int fd, std::string_view data) {
    while (!data.empty()) {
        const ssize_t size = ::write(fd, data.data(), data.size());
        if (size >= 0) {
            data.remove_prefix(static_cast<std::size_t>(size));
        } else if (errno != EINTR) {
            return fail_errno("write");
        }
    }
    return {};
}

namespace {

std::string folder_of(const std::string& path) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    return folder.empty() ? "." : folder.string();
}

}  // namespace

Result<> write_file(const std::string& path, std::string_view data, const FileOptions& options) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("unlink " + path);
    Result<Fd> file = open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, options.mode);
    if (!file) return std::unexpected(file.error());
    constexpr auto same_owner = static_cast<uid_t>(-1);
    if (options.reader) {
        if (::fchown(file->get(), same_owner, *options.reader) != 0) return fail_errno("chown " + path);
        if (::fchmod(file->get(), options.mode | S_IRGRP) != 0) return fail_errno("chmod " + path);
    }
    if (Result<> written = write_all(file->get(), data); !written) return written;
    if (options.synced && ::fsync(file->get()) != 0) return fail_errno("fsync " + path);
    return {};
}

Result<> replace_file(const std::string& path, std::string_view data, const FileOptions& options) {
    const std::string draft = path + ".new";
    if (Result<> written = write_file(draft, data, options); !written) return written;
    if (::rename(draft.c_str(), path.c_str()) != 0) return fail_errno("rename " + draft);
    return options.synced ? sync_folder(folder_of(path)) : Result<>{};
}

Result<> replace_symlink(const std::string& link, const std::string& target) {
    const std::string draft = link + ".new";
    if (::unlink(draft.c_str()) != 0 && errno != ENOENT) return fail_errno("unlink " + draft);
    if (::symlink(target.c_str(), draft.c_str()) != 0) return fail_errno("symlink " + draft);
    if (::rename(draft.c_str(), link.c_str()) != 0) return fail_errno("rename " + draft);
    return sync_folder(folder_of(link));
}

Result<> sync_folder(const std::string& path) {
    Result<Fd> folder = open_file(path, O_RDONLY | O_DIRECTORY);
    if (!folder) return std::unexpected(folder.error());
    if (::fsync(folder->get()) != 0) return fail_errno("fsync " + path);
    return {};
}

Result<> make_folder(const std::string& path, unsigned mode) {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return fail_errno("mkdir " + path);
    return {};
}

}  // namespace havn::io
