// Whole files, written so that a crash leaves the old one or the new one.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "io/fd.h"

namespace havn::io {

Result<Fd> open_file(const std::string& path, int flags, unsigned mode = 0640);
Result<std::string> read_file(const std::string& path);

// All of `data` at the descriptor's position; short writes are continued.
Result<> write_all(int fd, std::string_view data);

// Writes beside `path`, syncs, renames over it, syncs the folder.
Result<> replace_file(const std::string& path, std::string_view data, unsigned mode = 0640);

// Makes `target` (relative to the link's folder) what `link` points to, atomically.
Result<> replace_symlink(const std::string& link, const std::string& target);

Result<> sync_folder(const std::string& path);
Result<> make_folder(const std::string& path, unsigned mode = 0750);  // there already: fine

}  // namespace havn::io
