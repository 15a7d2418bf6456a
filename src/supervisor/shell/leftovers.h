// What a platform left running whose keeper and supervisor both died.
#pragma once

#include <vector>

namespace havn::supervisor {

// The living processes that the state files in the working folder name, by pid and cookie; those that descend
// from them; and all whose cookie is of that platform's run. To be called again until it finds none.
std::vector<int> find_leftovers();

}  // namespace havn::supervisor
