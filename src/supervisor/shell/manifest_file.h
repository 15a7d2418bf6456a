// The manifest that control says a configuration comes from, read by the supervisor itself: whose word it is.
#pragma once

#include <optional>

#include "base/json.h"
#include "supervisor/core/authority.h"
#include "supervisor/keeper/options.h"

namespace havn::supervisor {

// `origin` is {"directory": absolute, "file": a path of which the name counts}, from control: any file can be
// named there, and each only gives what its owner wrote. Nothing where the file can be written by others than
// its owner, is no regular file, or its folder belongs to neither root nor the owner.
std::optional<Authored> read_manifest(const Json& origin, const ReadPrograms& read);

}  // namespace havn::supervisor
