// The one place JSON enters: nlohmann's, for configuration and the control API, never on a hot path.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"

namespace havn {

using Json = nlohmann::json;

// Text to value. Error::invalid names the byte and what stood there.
inline Result<Json> parse_json(std::string_view text) {
    try {
        return Json::parse(text);
    } catch (const Json::parse_error& error) {
        return fail(Error::Kind::invalid, error.what());
    }
}

}  // namespace havn
