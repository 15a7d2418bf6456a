// Something that waits for a deadline of its thread.
#pragma once

#include "gateway/core/deadlines.h"

namespace havn::gateway {

class Timer : public Deadlines::Entry {
  public:
    virtual void on_deadline() = 0;

  protected:
    ~Timer() = default;
};

}  // namespace havn::gateway
