// The binary this process runs, told apart from another by its content: a file that was replaced or copied
// elsewhere is compared by its checksum.
#pragma once

#include <string>

#include "base/error.h"

namespace havn::io {

// "SIZE-CRC32C" of /proc/self/exe, which is the running binary also when its file is gone. Reads it once.
Result<std::string> binary_id();

}  // namespace havn::io
