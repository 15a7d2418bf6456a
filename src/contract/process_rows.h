// The process table as its readers hold it: rows kept up to date from `Processes` messages.
//
// A whole message replaces everything, a partial one replaces the rows whose ids it carries, adds those it
// brings anew and drops those that went. The rows keep one order: the keeper, the supervisor, the other parts
// of the platform, then programs by application, name, instance and id. What one message costs follows from
// its own size, but for moving the references of the rows that stay.
#pragma once

#include "base/json.h"
#include "contract/link.h"

namespace havn::link {

class ProcessRows {
  public:
    void apply(Processes message);

    // A list of objects; valid until the next `apply`.
    const Json& rows() const { return rows_; }

  private:
    Json rows_ = Json::array();
};

}  // namespace havn::link
