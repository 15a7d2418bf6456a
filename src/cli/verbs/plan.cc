#include "manifest/plan.h"

#include <filesystem>

#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/file.h"

namespace havn::cli {

namespace {

// What was applied last, as it stands on disk; nothing before the first time.
Result<std::optional<manifest::Manifest>> applied_manifest(const std::string& data) {
    const std::string path = data + "/applied/current/manifest.json";
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return std::optional<manifest::Manifest>();
    const Result<std::string> text = io::read_file(path);
    if (!text) return std::unexpected(text.error());
    const Result<Json> json = parse_json(*text);
    if (!json) return std::unexpected(json.error());
    Result<manifest::Manifest> manifest = manifest::manifest_from_json(*json);
    if (!manifest) return std::unexpected(manifest.error());
    return std::optional<manifest::Manifest>(std::move(*manifest));
}

// The plan as values, and as text: of the platform where it runs, which alone knows what holds now.
Result<Json> plan_of(const Project& project, const manifest::Manifest& wanted) {
    const Platform platform(project.data);
    if (platform.running()) {
        return platform.send("POST", "/v1/plan", request_body(project, false));
    }
    const Result<std::optional<manifest::Manifest>> applied = applied_manifest(project.data);
    if (!applied) return std::unexpected(applied.error());
    const manifest::Plan plan = manifest::diff(*applied, wanted);
    Json answer = manifest::to_json(plan);
    answer["text"] = manifest::render(plan);
    return answer;
}

}  // namespace

int plan(const PlanOptions& options) {
    const Result<Project> project = open_project(options.place);
    if (!project) return print_error(project.error());
    const std::optional<manifest::Manifest> wanted = check_manifest(*project);
    if (!wanted) return Exit::failed;
    Result<Json> plan = plan_of(*project, *wanted);
    if (!plan) return print_error(plan.error());
    const std::string text = plan->value("text", "");
    const bool empty = plan->value("changes", Json::array()).empty();
    plan->erase("text");
    options.json ? print_json(*plan) : print(text);
    if (!check_host(*project, *wanted)) return Exit::failed;  // `up` would refuse it
    return empty ? Exit::ok : Exit::changes;
}

}  // namespace havn::cli
