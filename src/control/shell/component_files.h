// What gateway and broker read when they start: DATA/applied/parts/gateway.json and broker.json, compiled
// from what is in force.
//
// They are made of the revisions and can be lost: control writes them anew when it starts. prepare() writes
// and syncs them beside the old ones, so that a full disk refuses a change before anything of it counts, and
// commit() renames them. Each file can be read by control and by its part, for there are passwords in it.
#pragma once

#include <string>

#include "base/error.h"
#include "control/core/compile.h"

namespace havn::control {

class ComponentFiles {
  public:
    explicit ComponentFiles(std::string folder) : folder_(std::move(folder)) {}

    Result<> prepare(const Compiled& compiled);
    Result<> commit();  // of what prepare() wrote last

  private:
    std::string folder_;
};

}  // namespace havn::control
