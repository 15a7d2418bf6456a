// Runs a simulation once for each of many seeds, and says how to repeat the one that failed.
//
//   HAVN_SIM_SEED=N      that seed alone
//   HAVN_SIM_SECONDS=S   for so long, from a seed that the clock gives
//   neither              seeds 1 to `usual`; a tenth of them in a sanitizer's build
//
// `./dev sim` sets them. Progress of a long run goes to stderr every ten seconds.
#pragma once

#include <cstdint>
#include <functional>

namespace havn::sim {

// Calls run(seed) until one of them records a failure of GoogleTest, whose output then names the seed.
void for_seeds(std::uint64_t usual, const std::function<void(std::uint64_t seed)>& run);

}  // namespace havn::sim
