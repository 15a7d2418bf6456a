// Revisions in files (docs/formats/revisions.md): applied/rev-N/ and the link applied/current for the only
// application of a project platform, applied/apps/APP/… for one that has a key.
//
// A revision is written whole beside its place, synced and renamed, and counts from the moment `current`
// points to it. A crash before that leaves a folder that the next revision of that number replaces.
#pragma once

#include <string>

#include "control/core/revision_store.h"

namespace havn::control {

class FileRevisionStore final : public RevisionStore {
  public:
    static constexpr std::uint64_t kept = 10;  // the current one and those before it

    // `folder` is DATA/applied, and there.
    explicit FileRevisionStore(std::string folder) : folder_(std::move(folder)) {}

    Result<std::vector<std::string>> applications() const override;
    Result<std::optional<Revision>> current(const std::string& app) const override;
    Result<std::vector<std::uint64_t>> list(const std::string& app) const override;
    Result<> put(const Revision& revision) override;
    Result<> make_current(const std::string& app, std::uint64_t number) override;
    void discard(const std::string& app, std::uint64_t number) override;

  private:
    std::string folder_of(const std::string& app) const;
    std::string path_of(const std::string& app, std::uint64_t number) const;
    void remove_old(const std::string& app, std::uint64_t newest) const;

    std::string folder_;
};

}  // namespace havn::control
