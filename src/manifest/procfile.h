// A Procfile: one "name: command" a line, blank lines and lines beginning with # or // left out.
//
// Names are letters, digits, - and _ (1 to 63) and are used in lower case; each stands once. The text must be
// UTF-8. `release:` is not run: this version has no deploy step in which it would have its place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "manifest/reader.h"

namespace havn::manifest {

struct ProcfileEntry {
    std::string name, command;
    Place place;  // of the name
};

// What is wrong is reported in the draft; the good lines are returned.
std::vector<ProcfileEntry> read_procfile(std::string_view text, std::string_view file, Draft& draft);

// Adds to what havn.toml said (see parse() in manifest.h).
void add_procfile(const std::vector<ProcfileEntry>& entries, Draft& draft);

}  // namespace havn::manifest
