// Where the manifest and the data folder are, from what the command line says and where it was typed.
//
// Without -f the manifest is havn.toml, or a Procfile, in the working folder or the nearest parent that has
// one. Without --data the data folder is `.havn` beside the manifest.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "manifest/manifest.h"

namespace havn::cli {

struct Place {         // what the command line says; empty: not given
    std::string file;  // -f
    std::string data;  // --data
};

struct Project {
    std::optional<manifest::Source> toml, procfile;
    std::string directory;  // absolute: the manifest's folder
    std::string data;       // absolute; may not exist
};

// Reads the manifest's files, without looking at what they say.
Result<Project> open_project(const Place& place);

// What POST /v1/plan and /v1/apply take (docs/api.md).
Json request_body(const Project& project, bool force);

// The data folder alone, for verbs that need no manifest. An existing `.havn` does without one.
Result<std::string> find_data(const Place& place);

// The manifest of a project; what is wrong with it goes to standard error as a compiler would say it.
std::optional<manifest::Manifest> check_manifest(const Project& project);

// Whether this host has what the manifest needs (preflight/preflight.h); what it lacks goes to standard
// error, all of it. A platform that runs already is asked which addresses are its own.
bool check_host(const Project& project, const manifest::Manifest& manifest);

}  // namespace havn::cli
