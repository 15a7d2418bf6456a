// What can be known about a manifest on this host before anything is started: folders, users, commands and
// addresses. All findings at once, each with its cause and what to do; nothing is changed.
//
// Folders and commands are looked at as the user the program would run as: in a child process that becomes
// that user, where we are root. What cannot be told from here (a command that a shell makes, an interpreter
// that is missing) is no finding: the supervisor says it when it happens.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "manifest/model.h"

namespace havn::preflight {

struct Surroundings {
    std::string directory;               // absolute: the manifest's folder
    std::vector<std::string> listening;  // addresses the running platform has already
};

std::vector<Error> examine(const manifest::Manifest& manifest, const Surroundings& surroundings);

}  // namespace havn::preflight
