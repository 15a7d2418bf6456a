// What a broker has done since its process began, over all virtual hosts. Messages, each counted once per
// event.
#pragma once

#include <cstdint>

namespace havn::broker {

struct Counters {
    std::uint64_t published = 0;    // taken from publishers
    std::uint64_t unroutable = 0;   // of these, those no queue wanted
    std::uint64_t delivered = 0;    // to consumers and by basic.get, every attempt
    std::uint64_t redelivered = 0;  // of these, not the first attempt
    std::uint64_t acknowledged = 0;
    std::uint64_t confirmed = 0;
    std::uint64_t dead_lettered = 0;
    std::uint64_t expired = 0;
};

}  // namespace havn::broker
