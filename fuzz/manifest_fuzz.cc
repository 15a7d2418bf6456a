// Any bytes as havn.toml, as a Procfile, and, split at the first NUL, as both: never a crash, and what is
// accepted survives its canonical form and plans no change against itself.
#include "base/assert.h"
#include "manifest/manifest.h"
#include "manifest/plan.h"

using namespace havn;
using namespace havn::manifest;

namespace {

void judge(const std::optional<Source>& toml, const std::optional<Source>& procfile) {
    const auto parsed = parse(toml, procfile);
    bool has_error = false;
    for (const auto& one : parsed.diagnostics) has_error |= one.severity == Diagnostic::Severity::error;
    HAVN_ASSERT(parsed.manifest.has_value() != has_error, "a manifest if and only if there is no error");
    std::vector<Source> sources;
    if (toml) sources.push_back(*toml);
    if (procfile) sources.push_back(*procfile);
    HAVN_ASSERT(render(parsed.diagnostics, sources).empty() == parsed.diagnostics.empty(), "all is said");
    if (!parsed.manifest) return;

    const auto text = to_json(*parsed.manifest).dump();
    const auto again = manifest_from_json(parse_json(text).value());
    HAVN_ASSERT(again.has_value(), "the canonical form is accepted");
    HAVN_ASSERT(*again == *parsed.manifest, "the canonical form means the same");
    HAVN_ASSERT(diff(again.value(), *parsed.manifest).empty(), "no change against itself");
    render(diff(std::nullopt, *parsed.manifest));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    judge(Source{"havn.toml", text}, std::nullopt);
    judge(std::nullopt, Source{"Procfile", text});
    const auto end = text.find('\0');
    if (end != text.npos) {
        judge(Source{"havn.toml", text.substr(0, end)}, Source{"Procfile", text.substr(end + 1)});
    }
    return 0;
}
