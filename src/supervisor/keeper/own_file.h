// Files that are the supervisor's own: what stands in them decides what is run and which processes are
// signalled, so a file of another user is refused, and no link is followed.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "io/fd.h"

namespace havn::supervisor {

// Whole or not at all for a reader; with `synced` also after a loss of power.
Result<> write_own_file(const std::string& path, std::string_view text, bool synced = false);
// For appending, made when missing. Emptied with ::ftruncate.
Result<io::Fd> append_to_own_file(const std::string& path);
// Error::denied when somebody else wrote it.
Result<std::string> read_own_file(const std::string& path);

}  // namespace havn::supervisor
