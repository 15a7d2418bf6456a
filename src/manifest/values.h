// One value of one key: from what was written to where it lives. The way back is value_of (keys.h).
#pragma once

#include <optional>
#include <string>

#include "manifest/keys.h"
#include "manifest/syntax/tree.h"

namespace havn::manifest {

struct Problem {
    Place place;
    std::string message;  // what was found and what is allowed
    std::string hint;     // what to write instead; may be empty
};

// Fills the slot, or says what is wrong and leaves it as it was.
std::optional<Problem> read_value(const Key& key, const Node& node, Slot slot);

}  // namespace havn::manifest
