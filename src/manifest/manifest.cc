#include "manifest/manifest.h"

#include <fmt/format.h>

#include "base/text/ascii.h"
#include "manifest/check.h"
#include "manifest/procfile.h"
#include "manifest/syntax/forms.h"

namespace havn::manifest {
namespace {

std::string_view line_number(std::string_view text, int line) {
    for (int number = 1; number < line; ++number) {
        const std::size_t end = text.find('\n');
        if (end == text.npos) return {};
        text.remove_prefix(end + 1);
    }
    return text.substr(0, text.find('\n'));
}

// A bare word where a text belongs: the classic mistake of whoever comes from INI or a shell.
std::string quotes_hint(std::string_view key, std::string_view value) {
    static constexpr std::string_view begins_a_value = "\"'[{+-0123456789";
    if (value.empty()) return fmt::format("write a value after {} =", key);
    if (value == "true" || value == "false" || begins_a_value.contains(value.front())) return {};
    if (value == "True" || value == "False" || value == "yes" || value == "no" || value == "on" ||
        value == "off") {
        return "write true or false";
    }
    if (value.size() > 80 || value.contains('"')) return "a text stands in quotes";
    return fmt::format("a text stands in quotes: {} = \"{}\"", key, value);
}

// What the line looks like that is no TOML, as far as it is a common mistake.
std::string syntax_hint(std::string_view text, int number) {
    const std::string_view line = trimmed(line_number(text, number));
    const std::size_t route = line.find("[route.");
    if (route != line.npos && !line.substr(route + 7).starts_with('"')) {
        return "the key of a route stands in quotes: [route.\"/path\"]";
    }
    if (line.starts_with("---") || line.starts_with("- ")) return "this looks like YAML; havn.toml is TOML";
    if (line.starts_with(';')) return "this looks like an INI file; in TOML a comment begins with #";
    if (line.starts_with("//") || line.starts_with("/*")) return "in TOML a comment begins with #";
    if (line.starts_with('{') && number == 1) return "this looks like JSON; havn.toml is TOML";
    if (line.starts_with('[') && line.contains(':') && !line.contains('"')) {
        return "this looks like an INI file; a table is written [service.NAME] or [worker.NAME]";
    }
    const std::size_t equals = line.find('='), colon = line.find(':');
    if (equals != line.npos && (colon == line.npos || equals < colon)) {
        const std::string_view value = trimmed(line.substr(equals + 1));
        return quotes_hint(trimmed(line.substr(0, equals)), trimmed(value.substr(0, value.find(" #"))));
    }
    if (colon != line.npos && line.substr(0, colon).find_first_of(" \"'[") == line.npos) {
        return fmt::format(
            "this looks like YAML; in TOML it is {} = …, and a table is written [service.NAME]",
            line.substr(0, colon));
    }
    if (!line.starts_with('[') && line.find(' ') == line.npos && !line.empty()) {
        return fmt::format("a key has a value: {} = \"…\"", line);
    }
    return {};
}

bool is_error(const Diagnostic& diagnostic) {
    return diagnostic.severity == Diagnostic::Severity::error;
}

Parsed finish(Draft draft) {
    Parsed parsed;
    if (!draft.has_errors()) parsed.manifest = std::move(draft.manifest);
    parsed.diagnostics = std::move(draft.diagnostics);
    std::ranges::sort(parsed.diagnostics, {}, [](const Diagnostic& one) {
        return std::tie(one.file, one.line, one.column, one.severity, one.message);
    });
    return parsed;
}

}  // namespace

Parsed parse(const std::optional<Source>& toml, const std::optional<Source>& procfile) {
    Draft draft;
    draft.file = toml ? toml->file : procfile ? procfile->file : "havn.toml";
    bool readable = true;
    if (toml) {
        const auto tree = parse_toml_tree(toml->text, toml->file);
        readable = tree.has_value();
        if (tree) {
            read_tree(*tree, draft);
        } else {
            draft.error(tree.error().place, "not valid TOML: " + tree.error().what,
                        syntax_hint(toml->text, tree.error().place.line));
        }
    }
    if (procfile) add_procfile(read_procfile(procfile->text, procfile->file, draft), draft);
    if (readable) check(draft);
    return finish(std::move(draft));
}

Parsed parse_toml(std::string_view text, std::string_view file) {
    return parse(Source{std::string(file), std::string(text)}, std::nullopt);
}

Parsed parse_procfile(std::string_view text, std::string_view file) {
    return parse(std::nullopt, Source{std::string(file), std::string(text)});
}

Result<Manifest> manifest_from_json(const Json& json) {
    Draft draft;
    read_tree(tree_of(json), draft);
    check(draft);
    Parsed parsed = finish(std::move(draft));
    if (parsed.manifest) return std::move(*parsed.manifest);
    const auto first = std::ranges::find_if(parsed.diagnostics, is_error);
    return fail(Error::Kind::invalid, first->message, first->hint);
}

std::string url_variable(std::string_view service) {
    std::string name = ascii_upper(service) + "_URL";
    std::ranges::replace(name, '-', '_');
    return name;
}

}  // namespace havn::manifest
