#include "supervisor/shell/manifest_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "io/file.h"

namespace havn::supervisor {

namespace {

constexpr off_t bytes_max = 16 << 20;  // as control takes
constexpr const char* procfile_name = "Procfile";

struct File {
    uid_t owner = 0;
    std::string text;
};

// Nothing when it is not there; `bad` when it is there and its word does not count.
std::optional<File> read_owned(const std::string& path, bool& bad) {
    const Result<io::Fd> file = io::open_regular(path, O_RDONLY);
    if (!file) {
        bad = file.error().kind != Error::Kind::not_found;
        return std::nullopt;
    }
    struct stat status{};
    bad = ::fstat(file->get(), &status) != 0 || status.st_size > bytes_max;
    // Root's word is root's alone; a user's file may be his group's to write, as umask 002 makes it.
    const mode_t others = status.st_uid == 0 ? S_IWGRP | S_IWOTH : S_IWOTH;
    bad = bad || (status.st_mode & others) != 0;
    if (bad) return std::nullopt;
    Result<std::string> text = io::read_file("/proc/self/fd/" + std::to_string(file->get()));
    bad = !text;
    if (bad) return std::nullopt;
    return File{status.st_uid, std::move(*text)};
}

}  // namespace

std::optional<Authored> read_manifest(const Json& origin, const ReadPrograms& read) {
    if (!origin.is_object() || !read) return std::nullopt;
    const std::string directory = text_of(origin, "directory");
    std::string name = text_of(origin, "file");
    name = name.substr(name.rfind('/') + 1);  // of npos: 0
    struct stat folder{};
    if (!directory.starts_with('/') || name.empty() || ::stat(directory.c_str(), &folder) != 0) {
        return std::nullopt;
    }
    bool bad_toml = false, bad_procfile = false;
    std::optional<File> toml, procfile;
    if (name != procfile_name) toml = read_owned(directory + "/" + name, bad_toml);
    procfile = read_owned(directory + "/" + procfile_name, bad_procfile);
    if (bad_toml || bad_procfile || (!toml && !procfile)) return std::nullopt;
    uid_t author = toml ? toml->owner : procfile->owner;
    if (procfile && procfile->owner != author) {  // the word of two: that of the one who is not root
        if (author != 0 && procfile->owner != 0) return std::nullopt;
        author = std::max(author, procfile->owner);
    }
    if (folder.st_uid != 0 && folder.st_uid != author && author != 0) return std::nullopt;
    const auto text = [](const std::optional<File>& file) {
        return file ? std::optional(file->text) : std::nullopt;
    };
    return Authored{author, read(directory, text(toml), text(procfile))};
}

}  // namespace havn::supervisor
