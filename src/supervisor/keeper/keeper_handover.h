// How a supervisor whose keeper died becomes the keeper: it executes itself again in the same process, so
// that its children stay its children, and takes its descriptors along.
#pragma once

#include <map>
#include <string>

#include "io/fd.h"
#include "supervisor/keeper/options.h"

namespace havn::supervisor {

// Returns only when it failed; errno says why.
void execute_self(const char* role, const Options& options);

// Becomes `havn keeper` with `kept`. Returns only when it failed.
void become_keeper(const Options& options, const std::map<std::string, io::Fd>& kept);

// What `become_keeper` passed on; empty in a keeper that `havn up` started.
std::map<std::string, io::Fd> take_handover();

// Standard input becomes /dev/null, output and error the file, as far as it can be opened.
void redirect_standard_streams(const std::string& file);

}  // namespace havn::supervisor
