// What the two root processes are started with.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "contract/supervisor.h"

namespace havn::supervisor {

// What havn.toml and Procfile (either may be missing) in `directory` say: bound by whoever knows manifests.
// Nothing where they do not hold.
using ReadPrograms =
    std::function<std::vector<Program>(const std::string& directory, const std::optional<std::string>& toml,
                                       const std::optional<std::string>& procfile)>;

struct Options {
    std::string data;  // the data folder
    bool foreground = false;
    ReadPrograms read_programs;  // without it no manifest counts
};

}  // namespace havn::supervisor
