// The accepted configurations on disk: applied/rev-N/ and the link `current` (see "The data folder" in
// ARCHITECTURE.md).
//
// A revision is written whole and synced before anybody is told of it, and counts from the moment `current`
// points to it; a crash before that leaves a folder that the next revision of that number replaces.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "control/core/compile.h"
#include "manifest/manifest.h"

namespace havn::control {

struct Revision {
    std::uint64_t number = 0;
    manifest::Manifest manifest;
    std::string file;       // the manifest's path, as the user named it
    std::string directory;  // absolute: the manifest's folder
    Json applied_at;        // UTC, RFC 3339
    Compiled compiled;
};

class Applied {
  public:
    // `folder` is DATA/applied.
    explicit Applied(std::string folder) : folder_(std::move(folder)) {}

    // Nothing when nothing was ever applied; Error::corrupt when what is there cannot be read.
    Result<std::optional<Revision>> current() const;

    // Writes and syncs rev-N. Nothing changes for anybody until make_current.
    Result<> write(const Revision& revision) const;

    // Points `current` at rev-N and removes all but the newest few others.
    Result<> make_current(std::uint64_t number) const;

    // Takes back a revision that was refused.
    void discard(std::uint64_t number) const;

    // "service:NAME" listeners of a revision, by service: what the next one keeps.
    static std::map<std::string, std::string> service_listeners(const Revision& revision);

  private:
    std::string path_of(std::uint64_t number) const;
    void remove_old(std::uint64_t newest) const;

    std::string folder_;
};

}  // namespace havn::control
