// What the command line says of itself below its table of verbs: exit codes, the keys of the manifest, the
// completion of shells.
#pragma once

#include <string>

namespace havn::cli {

std::string help_footer();  // exit codes and environment, below the overview

// Each prints and returns the exit code (terminal.h). `topic`: a section of the manifest; empty: all of them.
int help_manifest(const std::string& topic);
int completion(const std::string& shell);

}  // namespace havn::cli
