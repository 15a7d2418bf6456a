// Names for requests and jobs: UUIDs of version 7 (RFC 9562 §5.7), unique and sortable by time.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/random.h"
#include "base/time.h"

namespace havn::gateway {

struct Id {
    std::array<char, 36> text;
    std::string_view view() const { return {text.data(), text.size()}; }
};

// Within a millisecond ids count upwards from a random start, so those of one generator sort in the order
// made.
class IdGenerator {
  public:
    explicit IdGenerator(std::uint64_t seed) : random_(seed) {}
    Id next(WallTime now);

  private:
    Random random_;
    std::uint64_t millisecond_ = 0;
    std::uint32_t counter_ = 0;
};

}  // namespace havn::gateway
