// Whole files, written so that a crash leaves the old one or the new one.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/fd.h"

namespace havn::io {

// Never waits: what somebody put at the path may be a pipe that nobody has open at the other end.
Result<Fd> open_file(const std::string& path, int flags, unsigned mode = 0640);
// The same where another user may make the path: Error::invalid for what is no regular file.
Result<Fd> open_regular(const std::string& path, int flags, unsigned mode = 0640);
// A folder that is this user's; Error::denied for a link and for one of another user.
Result<Fd> open_own_folder(const std::string& path);

// Of a regular file.
Result<std::string> read_file(const std::string& path);

// All of `data` at the descriptor's position; short writes are continued.
Result<> write_all(int fd, std::string_view data);

struct FileOptions {
    unsigned mode = 0600;
    std::optional<gid_t> reader{};  // a group that may read it too
    bool synced = true;             // survives a power cut
};

// A new file in the place of whatever has the path; a link there is not followed.
Result<> write_file(const std::string& path, std::string_view data, const FileOptions& options = {});

// The same beside `path` and renamed over it: who reads sees the old file or the new one, whole.
Result<> replace_file(const std::string& path, std::string_view data, const FileOptions& options = {});

// Makes `target` (relative to the link's folder) what `link` points to, atomically.
Result<> replace_symlink(const std::string& link, const std::string& target);

Result<> sync_folder(const std::string& path);
Result<> make_folder(const std::string& path, unsigned mode = 0750);  // there already: fine

}  // namespace havn::io
