// Cycles in what depends on what.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace havn {

// Every cycle once, depth first from `names` in their order: its members in the order in which each depends
// on the next; the last one depends on the first. `next_of` says what a name depends on; what it says of
// names that are none of `names` is not asked for. The views are those of `names` and of what `next_of`
// returns, which must live as long as the result.
std::vector<std::vector<std::string_view>> find_cycles(
    std::span<const std::string_view> names,
    const std::function<std::vector<std::string_view>(std::string_view)>& next_of);

}  // namespace havn
