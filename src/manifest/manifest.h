// Reading havn.toml and a Procfile: pure functions from text to a Manifest and what there is to say about it.
//
// All errors are found in one pass (but for broken TOML syntax, where the first ends the reading), in the
// order of the text. Every message says what was found and what is allowed; the hint says what to type.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "manifest/model.h"

namespace havn::manifest {

struct Diagnostic {
    enum class Severity { error, warning };
    Severity severity = Severity::error;
    std::string file;
    int line = 0, column = 0;  // from 1; 0 = of the file as a whole
    std::string message;
    std::string hint;  // may be empty
    bool operator==(const Diagnostic&) const = default;
};

struct Parsed {
    std::optional<Manifest> manifest;  // empty if and only if `diagnostics` holds an error
    std::vector<Diagnostic> diagnostics;
};

inline constexpr std::size_t source_bytes_max = 1u << 20;  // of havn.toml or a Procfile

struct Source {
    std::string file;  // how it is called in messages: "havn.toml"
    std::string text;
};

// Either or both. What havn.toml names wins whole; it may leave out a `command` that the Procfile has, and
// programs only the Procfile has are added. A Procfile's `web` is a service with the route "/", unless
// havn.toml names `web` as something else, has a route "/" or gives `web` a route; every other entry is a
// worker.
Parsed parse(const std::optional<Source>& toml, const std::optional<Source>& procfile);
Parsed parse_toml(std::string_view text, std::string_view file);
Parsed parse_procfile(std::string_view text, std::string_view file);

// The canonical form: the shape of havn.toml with every default filled in. manifest.json is this.
Json to_json(const Manifest& manifest);
Json redacted_json(const Manifest& manifest);  // the same for people: "***" for each secret (redact.h)
Result<Manifest> manifest_from_json(const Json& json);  // Error::invalid names the first key that is wrong

// As a compiler prints it: "havn.toml:3:9: error: …", the line, a caret, "hint: …". `sources` give the lines.
std::string render(const std::vector<Diagnostic>& diagnostics, const std::vector<Source>& sources);
Json to_json(const Diagnostic& diagnostic);

// What is to be known about every key, from the table of keys.
std::string reference_text(
    std::string_view topic = {});  // `havn help manifest [TOPIC]`; topic: "route", "service"…
std::string reference_markdown();  // docs/manifest.md
Json json_schema();                // for editors

// "shop-front" → "SHOP_FRONT_URL": the variable in which dependants find the service.
std::string url_variable(std::string_view service);

}  // namespace havn::manifest
