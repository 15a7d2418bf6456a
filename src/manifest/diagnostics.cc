// Diagnostics as a compiler prints them.
#include <fmt/format.h>

#include "manifest/manifest.h"
#include "manifest/syntax/redact.h"

namespace havn::manifest {
namespace {

constexpr std::size_t shown_max = 200;  // bytes; a longer line is not shown

std::string_view name(Diagnostic::Severity severity) {
    return severity == Diagnostic::Severity::error ? "error" : "warning";
}

std::optional<std::string_view> line_of(std::string_view text, int line) {
    for (int number = 1; number < line; ++number) {
        const std::size_t end = text.find('\n');
        if (end == text.npos) return std::nullopt;
        text.remove_prefix(end + 1);
    }
    text = text.substr(0, text.find('\n'));
    if (text.ends_with('\r')) text.remove_suffix(1);
    return text;
}

// A terminal must not be steered by a file: control characters show as a space.
std::string printable(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
    }
    return result;
}

// The line and, below it, a caret. Columns count characters, so continuation bytes of UTF-8 take no room.
std::string excerpt(std::string_view line, int column) {
    return fmt::format("  {}\n  {:>{}}\n", printable(line), "^", column);
}

}  // namespace

std::string render(const std::vector<Diagnostic>& diagnostics, const std::vector<Source>& sources) {
    std::string text;
    for (const Diagnostic& one : diagnostics) {
        text += one.file;
        if (one.line > 0) text += fmt::format(":{}:{}", one.line, one.column);
        text += fmt::format(": {}: {}\n", name(one.severity), printable(redact_urls(one.message)));
        for (const Source& source : sources) {
            if (source.file != one.file || one.line == 0) continue;
            const std::optional<std::string_view> line = line_of(source.text, one.line);
            if (line && line->size() <= shown_max) text += excerpt(redact_line(*line), one.column);
        }
        if (!one.hint.empty()) text += fmt::format("  hint: {}\n", printable(redact_urls(one.hint)));
    }
    return text;
}

Json to_json(const Diagnostic& diagnostic) {
    return {{"severity", name(diagnostic.severity)},
            {"file", diagnostic.file},
            {"line", diagnostic.line},
            {"column", diagnostic.column},
            {"message", redact_urls(diagnostic.message)},
            {"hint", redact_urls(diagnostic.hint)}};
}

}  // namespace havn::manifest
