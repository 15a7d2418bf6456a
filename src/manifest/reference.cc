// What there is to know about every key, for a terminal, for the documentation and for editors.
#include <fmt/format.h>

#include "manifest/keys.h"
#include "manifest/manifest.h"
#include "manifest/syntax/tree.h"

namespace havn::manifest {
namespace {

// "[service.NAME]", "[route.\"/path\"]", "[service.NAME] healthcheck": how a section is written.
std::string heading(const Section& row) {
    if (row.pattern.empty()) return "The top of the file";
    if (row.parent.empty()) {
        if (!row.named) return fmt::format("[{}]", row.key);
        return row.key == "route" ? "[route.\"HOST/PATH\"]" : fmt::format("[{}.NAME]", row.key);
    }
    return fmt::format("{} {}", heading(section(row.parent)), row.key);
}

std::string default_text(const Key& key, std::string_view pattern) {
    const Json value = default_of(key, pattern);
    return value.is_null() ? "" : toml_text(value);
}

// Under "worker" one wants scale as well.
bool is_about(const Section& row, std::string_view topic) {
    if (topic.empty() || row.key == topic) return true;
    return !row.parent.empty() && is_about(section(row.parent), topic);
}

std::string text_of_key(const Key& key, std::string_view pattern) {
    std::string text = fmt::format("  {}\n      {}\n      {}", key.name, key.doc, allowed(key));
    if (const std::string value = default_text(key, pattern); !value.empty()) {
        text += fmt::format("; else {}", value);
    }
    if (!key.applies_to.empty()) text += fmt::format("\n      only for {}", key.applies_to);
    if (!key.caveat.empty()) text += fmt::format("\n      {}", key.caveat);
    return text + fmt::format("\n      {} = {}\n", key.name, key.example);
}

std::string markdown_cell(std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != text.npos; at += 2) text.insert(at, 1, '\\');
    return text;
}

std::string markdown_row(const Key& key, std::string_view pattern) {
    std::string doc(key.doc);
    if (!key.applies_to.empty()) doc += fmt::format(" Only for {}.", key.applies_to);
    if (!key.caveat.empty()) doc += fmt::format(" *{}*", key.caveat);
    const std::string value = default_text(key, pattern);
    return fmt::format("| `{}` | {} | {} | {} | `{} = {}` |\n", key.name, markdown_cell(allowed(key)),
                       value.empty() ? "" : "`" + markdown_cell(value) + "`", markdown_cell(std::move(doc)),
                       key.name, markdown_cell(std::string(key.example)));
}

constexpr std::string_view preface = R"(# The manifest

<!-- Made from the table of keys in src/manifest/keys.cc; a test compares. -->

`havn.toml` says what an application is made of. It is [TOML](https://toml.io/en/v1.0.0). A key that is not
listed here is an error. `havn plan` shows what a change would do before `havn up` does it.

- A **duration** is whole numbers with the units d, h, m, s, ms, the largest first: `"50ms"`, `"1m30s"`.
- A **size** is a whole number with one of the units B, K, M, G, T, each 1024 of the one before: `"256M"`.
- A **name** of a service or worker is lower-case letters, digits, - and _, beginning with a letter or digit,
  at most 63 long. Services and workers share one set of names; supervisor, keeper, gateway, broker and
  control are taken.

A `Procfile` beside `havn.toml`, or alone, is accepted unchanged: `web` is a service and gets the route `/`,
every other line is a worker. What `havn.toml` names wins: a `[service.web]` there is as it says, and takes
only its `command` from the Procfile if it has none itself; the route `/` is not added when `havn.toml` has
one or sends another route to `web`. The line `release:` is not run, with a warning: this version has no
deploy step.
)";

Json schema_of_value(const Key& key) {
    switch (key.type) {
        case Type::integer:
            return {{"type", "integer"}, {"minimum", key.min}, {"maximum", key.max}};
        case Type::number:
            return {{"type", "number"}, {"exclusiveMinimum", key.min}, {"maximum", key.max}};
        case Type::duration:
            return {{"type", "string"}, {"pattern", "^([0-9]+(d|h|m|s|ms))+$"}};
        case Type::size:
            return {{"type", "string"}, {"pattern", "^[0-9]+([KMGTkmgt]([iI]?[bB])?|[bB])$"}};
        case Type::backoff:
            return {{"type", "string"}, {"pattern", "^[0-9a-z]+(\\.\\.[0-9a-z]+)?$"}};
        case Type::texts:
            return {{"type", "array"},
                    {"items", {{"type", "string"}}},
                    {"minItems", key.min},
                    {"maxItems", key.max},
                    {"uniqueItems", true}};
        case Type::integers:
            return {{"type", "array"},
                    {"items", {{"type", "integer"}, {"minimum", key.min}, {"maximum", key.max}}}};
        case Type::env:
            return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
        case Type::choice:
            return {{"type", "string"}, {"enum", split(key.choices, '|')}};
        case Type::text:
            return {{"type", "string"}};
    }
    return {{"type", "string"}};
}

Json schema_of_section(const Section& row) {
    Json properties = Json::object();
    for (const Key* key : keys_of(row.pattern)) {
        Json value = schema_of_value(*key);
        value["description"] = fmt::format("{} {}", key->doc, allowed(*key));
        if (Json otherwise = default_of(*key, row.pattern); !otherwise.is_null()) {
            value["default"] = otherwise;
        }
        properties[key->name] = std::move(value);
    }
    for (const Section* child : children(row.pattern)) {
        Json table = schema_of_section(*child);
        if (child->named) {
            table = {
                {"type", "object"}, {"additionalProperties", std::move(table)}, {"description", child->doc}};
        }
        properties[child->key] = std::move(table);
    }
    return {{"type", "object"},
            {"description", row.doc},
            {"properties", std::move(properties)},
            {"additionalProperties", false}};
}

}  // namespace

std::string reference_text(std::string_view topic) {
    std::string text;
    for (const Section& row : sections()) {
        if (!is_about(row, topic)) continue;
        if (!text.empty()) text += "\n";
        text += fmt::format("{}\n  {}\n\n", heading(row), row.doc);
        for (const Key* key : keys_of(row.pattern)) text += text_of_key(*key, row.pattern);
    }
    return text;
}

std::string reference_markdown() {
    std::string text(preface);
    for (const Section& row : sections()) {
        text += fmt::format("\n## {}\n\n{}\n\n",
                            row.pattern.empty() ? heading(row) : "`" + heading(row) + "`", row.doc);
        text += "| key | value | default | meaning | example |\n|---|---|---|---|---|\n";
        for (const Key* key : keys_of(row.pattern)) text += markdown_row(*key, row.pattern);
    }
    return text;
}

Json json_schema() {
    Json schema = schema_of_section(section(""));
    schema["$schema"] = "http://json-schema.org/draft-07/schema#";
    schema["title"] = "havn.toml";
    return schema;
}

}  // namespace havn::manifest
