// What a client sends to plan or apply, read and checked.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "manifest/manifest.h"

namespace havn::control {

// What somebody wants to be the configuration of the application.
struct Wanted {
    manifest::Manifest manifest;
    std::string file;       // how the user named it
    std::string directory;  // absolute
};

struct WantedRequest {
    Wanted wanted;
    bool force = false;
};

// {"toml": {"file","text"}, "procfile": {"file","text"}, "directory": "/absolute", "force": false}; either
// source or both. A manifest that does not hold is Error::invalid with everything there is to say about it as
// a compiler prints it; `diagnostics`, where given, gets the same as values.
Result<WantedRequest> read_wanted(const Json& body, std::vector<manifest::Diagnostic>* diagnostics = nullptr);

// {"name": count, …} put into a manifest; Error::not_found and Error::invalid name what there is and what is
// allowed.
Result<manifest::Manifest> scaled(manifest::Manifest manifest, const Json& counts);

}  // namespace havn::control
