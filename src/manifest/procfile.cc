#include "manifest/procfile.h"

#include <fmt/format.h>

#include "base/text/ascii.h"
#include "base/text/program_name.h"
#include "base/text/utf8.h"
#include "manifest/syntax/forms.h"

namespace havn::manifest {
namespace {

class ProcfileReader {
  public:
    ProcfileReader(std::string_view file, Draft& draft) : file_(file), draft_(draft) {}

    void line(std::string_view text, int number) {
        const std::string_view content = trimmed(text);
        if (content.empty() || content.starts_with('#') || content.starts_with("//")) return;
        const Place place{file_, number, static_cast<int>(content.data() - text.data()) + 1};
        if (!is_utf8(content) || content.contains('\0')) {
            return draft_.error(place, "this line is not UTF-8 text", "save the file as UTF-8");
        }
        const std::size_t colon = content.find(':');
        if (colon == content.npos) {
            return draft_.error(place, "a line of a Procfile is `name: command`, but here is no colon",
                                "write web: " + std::string(content));
        }
        add(trimmed(content.substr(0, colon)), trimmed(content.substr(colon + 1)), place);
    }

    std::vector<ProcfileEntry> entries;

  private:
    void add(std::string_view written, std::string_view command, const Place& place) {
        const std::string name = ascii_lower(written);
        const std::string what = fmt::format("{} is no name for a process", toml_text(std::string(written)));
        if (!is_program_name(name)) {
            return draft_.error(place, fmt::format("{}: {}", what, program_name_form));
        }
        if (is_part_name(name)) {
            return draft_.error(place, fmt::format("{}: {}", what, part_names_form), "rename it");
        }
        if (command.empty()) {
            return draft_.error(place, fmt::format("`{}` has no command", name),
                                fmt::format("write {}: COMMAND", name));
        }
        if (!is_command(command)) {
            return draft_.error(place, fmt::format("the command of `{}` has a line break inside", name),
                                "end lines with \\n or \\r\\n, not with \\r");
        }
        if (name == "release") {
            return draft_.warn(place, "`release` is not run: this version has no deploy step",
                               fmt::format("run it before `havn up`: {}", command));
        }
        for (const ProcfileEntry& entry : entries) {
            if (entry.name == name) {
                return draft_.error(place, fmt::format("`{}` is there already", name),
                                    fmt::format("see line {}", entry.place.line));
            }
        }
        entries.push_back({name, std::string(command), place});
    }

    std::string file_;
    Draft& draft_;
};

template <class Named>
Program* named(std::vector<Named>& all, std::string_view name) {
    for (auto& one : all) {
        if (one.name == name) return &one;
    }
    return nullptr;
}

// `web` answers "/", unless havn.toml says where something else goes.
void add_web_route(const ProcfileEntry& web, Draft& draft) {
    for (const Route& route : draft.manifest.routes) {
        if (route.key == "/" || route.service == web.name) return;
    }
    Route& route = draft.manifest.routes.emplace_back();
    route.key = route.path = "/";
    route.service = web.name;
    draft.places.set(join_path("route", "/"), web.place);
}

void add_program(const ProcfileEntry& entry, Draft& draft) {
    Manifest& manifest = draft.manifest;
    auto* program = named(manifest.services, entry.name);
    const bool is_service = program;
    if (!program) program = named(manifest.workers, entry.name);
    const bool is_new = !program;
    const bool is_web = entry.name == "web" && (is_new || is_service);
    if (is_new && is_web) program = &manifest.services.emplace_back();
    if (is_new && !is_web) program = &manifest.workers.emplace_back();
    program->name = entry.name;
    const std::string path = join_path(is_service || is_web ? "service" : "worker", entry.name);
    draft.places.set(path, entry.place);
    if (program->command.empty() && !draft.places.has(join_path(path, "command"))) {
        program->command = entry.command;
        draft.places.set(join_path(path, "command"), entry.place);
    }
    if (is_web) add_web_route(entry, draft);
}

}  // namespace

std::vector<ProcfileEntry> read_procfile(std::string_view text, std::string_view file, Draft& draft) {
    ProcfileReader reader(file, draft);
    for (int number = 1; !text.empty(); ++number) {
        const std::size_t end = text.find('\n');
        reader.line(text.substr(0, end), number);
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
    }
    return std::move(reader.entries);
}

void add_procfile(const std::vector<ProcfileEntry>& entries, Draft& draft) {
    for (const ProcfileEntry& entry : entries) add_program(entry, draft);
}

}  // namespace havn::manifest
