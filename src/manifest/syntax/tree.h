// A manifest before anything is known about its keys: values with the place where each was written.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"

namespace havn::manifest {

struct Place {
    std::string file;
    int line = 0, column = 0;  // from 1; 0 = no place in a text
    auto operator<=>(const Place&) const = default;
};

struct Entry;

struct Node {
    using Array = std::vector<Node>;
    using Table = std::vector<Entry>;  // in the order of the text, no name twice
    struct Other {
        std::string what;  // a value the manifest has no use for: "a date"
    };

    Place place;
    std::variant<std::string, std::int64_t, double, bool, Array, Table, Other> value;
};

struct Entry {
    std::string name;
    Place place;  // of the name
    Node node;
};

struct SyntaxError {
    Place place;
    std::string what;
};

// `file` is only what places are labelled with.
std::expected<Node, SyntaxError> parse_toml_tree(std::string_view text, std::string_view file);
Node tree_of(const Json& json);  // without places

// As a value would be written in havn.toml; "(none)" for null.
std::string toml_text(const Json& value);

// "the text \"abc\"", "the whole number 5", "a table": how a message calls what was found.
std::string found(const Node& node);

}  // namespace havn::manifest
