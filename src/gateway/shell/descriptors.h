// Who can free descriptors of the process when they are short.
#pragma once

namespace havn::gateway {

class Descriptors {
  public:
    // True when `error_number` says that descriptors are short, and some were freed: worth another try.
    virtual bool free_some(int error_number) = 0;

  protected:
    ~Descriptors() = default;
};

}  // namespace havn::gateway
