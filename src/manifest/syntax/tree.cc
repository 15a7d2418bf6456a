#include "manifest/syntax/tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/overloaded.h"
#include "manifest/syntax/forms.h"

namespace havn::manifest {
namespace {

constexpr std::size_t quoted_max = 60;  // of a text that is quoted in a message

std::string quoted(const std::string& text) {
    if (text.size() <= quoted_max) return toml_text(text);
    std::size_t end = quoted_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
        --end;  // not inside a character
    }
    return toml_text(text.substr(0, end)) + "…";
}

}  // namespace

Node tree_of(const Json& json) {
    switch (json.type()) {
        case Json::value_t::string:
            return {{}, json.get<std::string>()};
        case Json::value_t::boolean:
            return {{}, json.get<bool>()};
        case Json::value_t::number_float:
            return {{}, json.get<double>()};
        case Json::value_t::number_integer:
            return {{}, json.get<std::int64_t>()};
        case Json::value_t::number_unsigned:
            if (json.get<std::uint64_t>() > INT64_MAX) return {{}, json.get<double>()};
            return {{}, json.get<std::int64_t>()};
        case Json::value_t::array: {
            Node::Array items;
            for (const Json& item : json) items.push_back(tree_of(item));
            return {{}, std::move(items)};
        }
        case Json::value_t::object: {
            Node::Table entries;
            for (const auto& [name, value] : json.items()) entries.push_back({name, {}, tree_of(value)});
            return {{}, std::move(entries)};
        }
        default:
            return {{}, Node::Other{"null"}};
    }
}

std::string found(const Node& node) {
    return std::visit(
        Overloaded{
            [](const std::string& text) { return "the text " + quoted(text); },
            [](std::int64_t number) { return fmt::format("the whole number {}", number); },
            [](double number) { return fmt::format("the number {}", number); },
            [](bool truth) { return std::string(truth ? "true" : "false"); },
            [](const Node::Array& items) { return std::string(items.empty() ? "an empty list" : "a list"); },
            [](const Node::Table&) { return std::string("a table"); },
            [](const Node::Other& other) { return other.what; },
        },
        node.value);
}

std::string toml_text(const Json& value) {
    if (value.is_null()) return "(none)";
    if (value.is_string()) {
        const std::string& text = value.get_ref<const std::string&>();
        const bool reads_better_raw = text.contains('"') && !text.contains('\'') && is_text(text);
        if (reads_better_raw) return "'" + text + "'";
        // Bytes that are not UTF-8 can stand in a Procfile; a message shows them replaced.
        return value.dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    std::vector<std::string> parts;
    if (value.is_array()) {
        for (const Json& item : value) parts.push_back(toml_text(item));
        return fmt::format("[{}]", fmt::join(parts, ", "));
    }
    if (value.is_object()) {
        for (const auto& [name, item] : value.items()) parts.push_back(name + " = " + toml_text(item));
        return parts.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(parts, ", "));
    }
    return value.dump();
}

}  // namespace havn::manifest
