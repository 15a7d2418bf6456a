#include "base/json.h"

#include <fmt/format.h>

namespace havn {

namespace {

// How many brackets are open at most, outside of strings. What is no JSON may be counted wrongly; the parser
// refuses that later.
std::size_t depth_of(std::string_view text) {
    std::size_t depth = 0, deepest = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            deepest = std::max(deepest, ++depth);
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return deepest;
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
    if (depth_of(text) > json_depth_max) {
        return fail(Error::Kind::invalid,
                    fmt::format("JSON nested deeper than {} levels is not read", json_depth_max));
    }
    try {
        return Json::parse(text);
    } catch (const Json::exception& error) {  // a number beyond a double's range is no parse_error
        return fail(Error::Kind::invalid, error.what());
    }
}

std::string text_of(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace havn
