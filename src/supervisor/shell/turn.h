// The end of a turn: whoever told the process table something has its effects performed here.
#pragma once

namespace havn::supervisor {

class Turn {
  public:
    // Performs the effects that are due and has what changed written down soon. Within itself it does
    // nothing: the outer call goes on with what was added.
    virtual void finish() = 0;

  protected:
    ~Turn() = default;
};

}  // namespace havn::supervisor
