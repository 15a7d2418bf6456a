// The table of scales in a file, DATA/applied/scale.json (docs/formats/revisions.md), replaced whole.
#pragma once

#include <string>

#include "control/core/revision_store.h"

namespace havn::control {

class FileScaleStore final : public ScaleStore {
  public:
    explicit FileScaleStore(std::string path) : path_(std::move(path)) {}

    Result<ScaleTable> load() const override;
    Result<> save(const ScaleTable& table) override;

  private:
    std::string path_;
};

}  // namespace havn::control
