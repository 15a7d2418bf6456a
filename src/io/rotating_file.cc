#include "io/rotating_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>

#include "io/file.h"

namespace havn::io {

Result<> RotatingFile::write(std::string_view data) {
    if (!file_) {
        if (Result<> opened = open(); !opened) return opened;
    }
    if (size_ > 0 && !mid_line_ && size_ + data.size() > limits_.bytes) {
        if (Result<> rotated = rotate(); !rotated) return rotated;
    }
    Result<> written = write_all(file_.get(), data);
    if (written) size_ += data.size();
    if (written && !data.empty()) mid_line_ = data.back() != '\n';
    return written;
}

Result<> RotatingFile::open() {
    // The folder may belong to a less privileged user than this process: never follow a link out of it, never
    // wait for a reader.
    Result<Fd> file = open_regular(path_, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
    if (!file) return std::unexpected(file.error());
    struct stat status{};
    if (::fstat(file->get(), &status) != 0) return fail_errno("stat " + path_);
    file_ = std::move(*file);
    size_ = static_cast<std::uint64_t>(status.st_size);
    return {};
}

Result<> RotatingFile::rotate() {
    for (unsigned i = limits_.backups; i > 0; --i) {
        const std::string from = i == 1 ? path_ : path_ + "." + std::to_string(i - 1);
        const std::string to = path_ + "." + std::to_string(i);
        std::rename(from.c_str(), to.c_str());  // a missing one is no failure
    }
    if (limits_.backups == 0) std::remove(path_.c_str());
    file_.reset();
    return open();
}

}  // namespace havn::io
