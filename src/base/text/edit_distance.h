// How far one word is from another, for "did you mean …?".
#pragma once

#include <cstddef>
#include <string_view>

namespace havn {

// Edits (insert, delete, replace, swap of neighbours) from one to the other; counting stops above `limit`,
// and limit + 1 is returned.
std::size_t edit_distance(std::string_view from, std::string_view to, std::size_t limit);

}  // namespace havn
