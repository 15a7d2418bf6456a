// What a client sends to plan or apply, read and checked.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "control/core/revision.h"
#include "manifest/manifest.h"

namespace havn::control {

struct SubmitRequest {
    Submission submission;
    bool force = false;
};

// {"toml": {"file","text"}, "procfile": {"file","text"}, "directory": "/absolute", "force": false}; either
// source or both. A manifest that does not hold is Error::invalid with everything there is to say about it as
// a compiler prints it; `diagnostics`, where given, gets the same as values.
Result<SubmitRequest> read_submission(const Json& body,
                                      std::vector<manifest::Diagnostic>* diagnostics = nullptr);

}  // namespace havn::control
