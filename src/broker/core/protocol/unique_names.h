// Names that a broker makes up: of queues, consumers and reply addresses.
//
// Unlike every other name of this process and, but for a clock set back to the nanosecond, of earlier ones.
// They cannot be guessed from one another by accident, and are not secrets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace havn::broker {

class UniqueNames {
  public:
    explicit UniqueNames(std::uint64_t salt) : salt_(salt) {}

    std::string next(std::string_view prefix);  // the prefix and 22 letters

  private:
    std::uint64_t salt_;
    std::uint64_t given_ = 0;
};

}  // namespace havn::broker
