// What the command line says of itself: its verbs, the keys of the manifest, the completion of shells.
#pragma once

#include <string>
#include <vector>

namespace havn::cli {

struct VerbName {
    const char* name;
    const char* summary;
};
const std::vector<VerbName>& verb_names();  // of all verbs people see, in the order of the overview

std::string help_footer();  // exit codes and environment, below the overview

// Each prints and returns the exit code (terminal.h). `topic`: a section of the manifest; empty: all of them.
int help_manifest(const std::string& topic);
int completion(const std::string& shell);

}  // namespace havn::cli
