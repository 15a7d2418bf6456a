#include "manifest/plan.h"

#include <filesystem>

#include "cli/platform.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "io/file.h"

namespace havn::cli {

// What was applied last: as the running platform says, else as it stands on disk.
static Result<std::optional<manifest::Manifest>> applied_manifest(const std::string& data) {
    const Platform platform(data);
    Result<Json> json = fail(Error::Kind::not_found, "");
    if (platform.running()) {
        json = platform.get("/v1/manifest");
        if (!json && json.error().kind != Error::Kind::not_found) return std::unexpected(json.error());
    } else {
        const std::string path = data + "/applied/current/manifest.json";
        std::error_code ignored;
        if (std::filesystem::exists(path, ignored)) {
            const Result<std::string> text = io::read_file(path);
            if (!text) return std::unexpected(text.error());
            json = parse_json(*text);
            if (!json) return std::unexpected(json.error());
        }
    }
    if (!json) return std::optional<manifest::Manifest>();
    Result<manifest::Manifest> manifest = manifest::manifest_from_json(*json);
    if (!manifest) return std::unexpected(manifest.error());
    return std::optional<manifest::Manifest>(std::move(*manifest));
}

int plan(const PlanOptions& options) {
    const Result<Project> project = open_project(options.place);
    if (!project) return print_error(project.error());
    const std::optional<manifest::Manifest> wanted = check_manifest(*project);
    if (!wanted) return Exit::failed;
    const Result<std::optional<manifest::Manifest>> applied = applied_manifest(project->data);
    if (!applied) return print_error(applied.error());
    const manifest::Plan plan = manifest::diff(*applied, *wanted);
    if (options.json) {
        print_json(manifest::to_json(plan));
    } else {
        print(manifest::render(plan));
    }
    if (!check_host(*project, *wanted)) return Exit::failed;  // `up` would refuse it
    return plan.empty() ? Exit::ok : Exit::changes;
}

}  // namespace havn::cli
