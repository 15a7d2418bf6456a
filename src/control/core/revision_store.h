// Where revisions and scales are kept: files today (shell/file_revision_store.h), a store of several hosts
// later.
//
// A call that succeeds is durable; one that fails has changed nothing that current() or load() shows. One
// caller at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "control/core/revision.h"
#include "control/core/scale.h"

namespace havn::control {

class RevisionStore {
  public:
    virtual ~RevisionStore() = default;

    // The keys of the applications that have a current revision.
    virtual Result<std::vector<std::string>> applications() const = 0;

    // Nothing when the application has none; Error::corrupt when what is there cannot be read.
    virtual Result<std::optional<Revision>> current(const std::string& app) const = 0;

    // The numbers that are kept, oldest first, those put and never made current included.
    virtual Result<std::vector<std::uint64_t>> list(const std::string& app) const = 0;

    // Keeps a revision, in the place of one of the same number. It is not current by that.
    virtual Result<> put(const Revision& revision) = 0;

    // Of a revision that was put. All but the newest few others may be forgotten.
    virtual Result<> make_current(const std::string& app, std::uint64_t number) = 0;

    // Takes back a revision that was put and is not current.
    virtual void discard(const std::string& app, std::uint64_t number) = 0;
};

class ScaleStore {
  public:
    virtual ~ScaleStore() = default;

    // An empty table when none was ever saved; Error::corrupt when what is there cannot be read.
    virtual Result<ScaleTable> load() const = 0;
    virtual Result<> save(const ScaleTable& table) = 0;
};

}  // namespace havn::control
