// What somebody meant who wrote a key that is not there: names other tools use, and slips of the keyboard.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace havn::manifest {

// The nearest of `known`, if near enough to be meant; else empty. Case does not count.
std::string_view nearest(std::string_view name, const std::vector<std::string_view>& known);

// The hint for a key that section `pattern` does not have: "did you mean `instances`?"; empty when nothing
// fits.
std::string hint_for_unknown(std::string_view pattern, std::string_view name);

}  // namespace havn::manifest
