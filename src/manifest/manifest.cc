#include "manifest/manifest.h"

#include "manifest/check.h"
#include "manifest/forms.h"
#include "manifest/procfile.h"

namespace havn::manifest {
namespace {

// The one mistake in TOML itself that the manifest invites: a route's key needs quotes.
std::string syntax_hint(std::string_view text, int line) {
    for (int number = 1; number < line; ++number) {
        const auto end = text.find('\n');
        if (end == text.npos) return {};
        text.remove_prefix(end + 1);
    }
    text = text.substr(0, text.find('\n'));
    const auto route = text.find("[route.");
    if (route == text.npos || text.substr(route + 7).starts_with('"')) return {};
    return "the key of a route stands in quotes: [route.\"/path\"]";
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
        if (tree)
            read_tree(*tree, draft);
        else
            draft.error(tree.error().place, "not valid TOML: " + tree.error().what,
                        syntax_hint(toml->text, tree.error().place.line));
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
    auto parsed = finish(std::move(draft));
    if (parsed.manifest) return std::move(*parsed.manifest);
    const auto first = std::ranges::find_if(parsed.diagnostics, is_error);
    return fail(Error::Kind::invalid, first->message, first->hint);
}

std::string url_variable(std::string_view service) {
    auto name = upper(service) + "_URL";
    std::ranges::replace(name, '-', '_');
    return name;
}

}  // namespace havn::manifest
