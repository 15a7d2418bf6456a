// A small seeded source of numbers: SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
// Generators", 2014). A core that needs chance is given one, so that a test repeats it. Good enough to be
// unique and to spread things, not to be secret.
#pragma once

#include <cstdint>

namespace havn {

class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }

    // In [0, bound), and 0 for a bound of 0; `bound` is small against 2^64, so the bias does not matter.
    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }

    // In [least, most].
    std::uint64_t between(std::uint64_t least, std::uint64_t most) { return least + below(most - least + 1); }

    // True once in `n` times on average; never for 0.
    bool once_in(std::uint64_t n) { return n != 0 && below(n) == 0; }

  private:
    std::uint64_t state_;
};

}  // namespace havn
