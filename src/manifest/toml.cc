// The only place that knows toml++: its tree becomes ours. Costly to compile, so nothing else is here.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#include <toml++/toml.h>

#include "manifest/tree.h"

namespace havn::manifest {
namespace {

Place place_of(const toml::source_region& region, std::string_view file) {
    return {std::string(file), static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

Node node_of(const toml::node& node, std::string_view file);

// toml++ sorts by name; messages want the order of the text.
Node::Table entries_of(const toml::table& table, std::string_view file) {
    Node::Table entries;
    for (const auto& [key, value] : table)
        entries.push_back({std::string(key.str()), place_of(key.source(), file), node_of(value, file)});
    std::ranges::sort(entries, {}, [](const Entry& entry) { return std::tie(entry.place, entry.name); });
    return entries;
}

Node::Array items_of(const toml::array& array, std::string_view file) {
    Node::Array items;
    for (const auto& item : array) items.push_back(node_of(item, file));
    return items;
}

Node node_of(const toml::node& node, std::string_view file) {
    Node result{place_of(node.source(), file), {}};
    switch (node.type()) {
        case toml::node_type::string:
            result.value = node.as_string()->get();
            break;
        case toml::node_type::integer:
            result.value = node.as_integer()->get();
            break;
        case toml::node_type::floating_point:
            result.value = node.as_floating_point()->get();
            break;
        case toml::node_type::boolean:
            result.value = node.as_boolean()->get();
            break;
        case toml::node_type::array:
            result.value = items_of(*node.as_array(), file);
            break;
        case toml::node_type::table:
            result.value = entries_of(*node.as_table(), file);
            break;
        default:
            result.value = Node::Other{"a date or time"};
            break;
    }
    return result;
}

}  // namespace

std::expected<Node, SyntaxError> parse_toml_tree(std::string_view text, std::string_view file) {
    const auto result = toml::parse(text);
    if (result.failed()) {
        const auto& error = result.error();
        return std::unexpected(SyntaxError{place_of(error.source(), file), std::string(error.description())});
    }
    return node_of(result.table(), file);
}

}  // namespace havn::manifest
