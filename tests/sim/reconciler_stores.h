// The stores of control on a disk that a crash takes back: what shell/file_revision_store.h,
// file_scale_store.h and component_files.h do, in the same order of writing and syncing, with a file where
// those have a folder.
#pragma once

#include "control/core/compile.h"
#include "control/core/revision_store.h"
#include "sim/files.h"

namespace havn::control {

class SimRevisionStore final : public RevisionStore {
  public:
    explicit SimRevisionStore(sim::Files& disk) : disk_(disk) {}  // which outlives every store on it

    Result<std::vector<std::string>> applications() const override;
    Result<std::optional<Revision>> current(const std::string& app) const override;
    Result<std::vector<std::uint64_t>> list(const std::string& app) const override;
    Result<> put(const Revision& revision) override;
    Result<> make_current(const std::string& app, std::uint64_t number) override;
    void discard(const std::string& app, std::uint64_t number) override;

  private:
    sim::Files& disk_;
};

class SimScaleStore final : public ScaleStore {
  public:
    explicit SimScaleStore(sim::Files& disk) : disk_(disk) {}

    Result<ScaleTable> load() const override;
    Result<> save(const ScaleTable& table) override;

  private:
    sim::Files& disk_;
};

class SimComponentFiles {
  public:
    explicit SimComponentFiles(sim::Files& disk) : disk_(disk) {}

    Result<> prepare(const Compiled& compiled);
    Result<> commit();

  private:
    sim::Files& disk_;
};

}  // namespace havn::control
