#include "broker/log/storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "io/fd.h"
#include "io/file.h"

namespace havn::broker {
namespace {

std::unexpected<Error> failed(const std::string& what, int error) {
    std::unexpected<Error> failure = fail_errno(what, error);
    const bool full = error == ENOSPC || error == EDQUOT;
    failure.error().kind = full ? Error::Kind::unavailable : Error::Kind::internal;
    if (full) failure.error().remedy = "free space on that file system; it is tried again";
    return failure;
}

class DiskFile final : public File {
  public:
    DiskFile(io::Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

    Result<> write(std::uint64_t offset, std::string_view data) override {
        while (!data.empty()) {
            const ssize_t size = ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset));
            if (size < 0 && errno == EINTR) continue;
            if (size < 0) return failed("write " + path_, errno);
            offset += static_cast<std::uint64_t>(size);
            data.remove_prefix(static_cast<std::size_t>(size));
        }
        return {};
    }
    Result<std::size_t> read(std::uint64_t offset, std::span<char> into) const override {
        std::size_t done = 0;
        while (done < into.size()) {
            const ssize_t size =
                ::pread(fd_.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
            if (size < 0 && errno == EINTR) continue;
            if (size < 0) return failed("read " + path_, errno);
            if (size == 0) break;
            done += static_cast<std::size_t>(size);
        }
        return done;
    }
    Result<> sync() override {
        // Not tried again, whatever the reason: a second call may report success for pages that were dropped.
        if (::fdatasync(fd_.get()) == 0) return {};
        std::unexpected<Error> failure = failed("sync " + path_, errno);
        failure.error().kind = Error::Kind::internal;
        failure.error().remedy =
            "check the disk (dmesg) and its free space; nothing after the last sync was confirmed";
        return failure;
    }
    Result<> allocate(std::uint64_t bytes) override {
        if (::fallocate(fd_.get(), 0, 0, static_cast<off_t>(bytes)) == 0) return {};
        if (errno == EOPNOTSUPP || errno == ENOSYS) return {};  // then the file grows as it is written
        return failed("allocate " + path_, errno);
    }
    Result<> truncate(std::uint64_t bytes) override {
        if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) == 0) return {};
        return failed("truncate " + path_, errno);
    }
    void will_need(std::uint64_t offset, std::uint64_t bytes) const override {
        (void)::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                              POSIX_FADV_WILLNEED);
    }
    Result<std::uint64_t> size() const override {
        struct stat status{};
        if (::fstat(fd_.get(), &status) != 0) return failed("stat " + path_, errno);
        return static_cast<std::uint64_t>(status.st_size);
    }

  private:
    io::Fd fd_;
    std::string path_;
};

class DiskStorage final : public Storage {
  public:
    DiskStorage(std::string folder, io::Fd fd) : folder_(std::move(folder)), fd_(std::move(fd)) {}

    Result<std::unique_ptr<File>> open(const std::string& name, bool create) override {
        const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0);
        const int fd = ::openat(fd_.get(), name.c_str(), flags, 0640);
        if (fd < 0) return failed("open " + path(name), errno);
        return std::make_unique<DiskFile>(io::Fd(fd), path(name));
    }
    Result<> rename(const std::string& from, const std::string& to) override {
        if (::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) == 0) return {};
        return failed("rename " + path(from), errno);
    }
    Result<> remove(const std::string& name) override {
        if (::unlinkat(fd_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
        return failed("remove " + path(name), errno);
    }
    Result<> sync_names() override {
        if (::fsync(fd_.get()) == 0) return {};
        return failed("sync " + folder_, errno);
    }
    Result<std::vector<std::string>> list() override {
        DIR* folder = ::opendir(folder_.c_str());
        if (!folder) return failed("read " + folder_, errno);
        std::vector<std::string> names;
        while (const dirent* entry = ::readdir(folder)) names.emplace_back(entry->d_name);
        ::closedir(folder);
        return names;
    }
    std::string path(const std::string& name) const override { return folder_ + "/" + name; }
    std::uint64_t free_bytes() const override {
        struct statvfs status{};
        if (::fstatvfs(fd_.get(), &status) != 0) return 0;
        return std::uint64_t{status.f_bavail} * status.f_frsize;
    }

  private:
    std::string folder_;
    io::Fd fd_;
};

}  // namespace

Result<std::unique_ptr<Storage>> open_storage(const std::string& folder) {
    if (Result<> made = io::make_folder(folder); !made) return std::unexpected(made.error());
    Result<io::Fd> fd = io::open_file(folder, O_RDONLY | O_DIRECTORY);
    if (!fd) return std::unexpected(fd.error());
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
        return fail(Error::Kind::conflict, folder + " is used by another broker",
                    "end that one first: see who has it with `fuser " + folder + "`");
    }
    return std::make_unique<DiskStorage>(folder, std::move(*fd));
}

}  // namespace havn::broker
