// The one place JSON enters: nlohmann's, for configuration and the control API, never on a hot path.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"

namespace havn {

using Json = nlohmann::json;

// Writing a document out takes a stack frame for each level.
inline constexpr std::size_t json_depth_max = 128;

// Text to value; throws nothing. Error::invalid names the byte and what stood there, a number that no double
// can hold, or a nesting deeper than json_depth_max.
Result<Json> parse_json(std::string_view text);

}  // namespace havn
