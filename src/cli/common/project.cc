#include "cli/common/project.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "io/file.h"
#include "preflight/preflight.h"

namespace havn::cli {

namespace fs = std::filesystem;

namespace {

constexpr const char* toml_name = "havn.toml";
constexpr const char* procfile_name = "Procfile";
constexpr const char* data_name = ".havn";

// Whether anybody may put a file there, as into /tmp: what stands in such a folder may be anybody's.
bool is_open_to_all(const fs::path& folder) {
    std::error_code error;
    return (fs::status(folder, error).permissions() & fs::perms::others_write) != fs::perms::none;
}

// The nearest folder, from the working folder upwards, that has one of `names`; empty when none has.
fs::path find_upwards(std::initializer_list<const char*> names) {
    std::error_code error;
    const fs::path start = fs::current_path(error);
    for (fs::path folder = start; !error && !folder.empty(); folder = folder.parent_path()) {
        if (folder != start && is_open_to_all(folder)) break;  // its commands would run as this user
        for (const char* name : names) {
            std::error_code ignored;
            if (fs::exists(folder / name, ignored)) return folder;
        }
        if (folder == folder.root_path()) break;
    }
    return {};
}

Error no_manifest() {
    std::error_code ignored;
    return {Error::Kind::not_found,
            "no havn.toml and no Procfile in " + fs::current_path(ignored).string() + " or above",
            "write one with `havn init`, or name it with -f FILE"};
}

// How a path is best shown to whoever stands in the working folder.
std::string shown(const fs::path& path) {
    std::error_code error;
    const fs::path relative = fs::relative(path, error);
    return error || relative.string().starts_with("..") ? path.string() : relative.string();
}

Result<std::optional<manifest::Source>> read_source(const fs::path& path) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return std::optional<manifest::Source>();
    const std::uintmax_t size = fs::is_regular_file(path, ignored) ? fs::file_size(path, ignored) : 0;
    if (size > manifest::source_bytes_max) {
        return fail(Error::Kind::invalid,
                    fmt::format("{} has {:.1f} MiB, more than the 1 MiB a manifest may have", shown(path),
                                static_cast<double>(size) / (1 << 20)),
                    "is it the right file? Name another with -f FILE");
    }
    Result<std::string> text = io::read_file(path.string());
    if (!text) {
        Error error = text.error();
        if (error.remedy.empty()) {
            error.remedy = error.kind == Error::Kind::denied
                               ? "make it readable for this user (chmod, or sudo)"
                               : "name the manifest with -f FILE";
        }
        return std::unexpected(std::move(error));
    }
    return manifest::Source{shown(path), std::move(*text)};
}

Result<fs::path> manifest_folder(const Place& place) {
    if (place.file.empty()) {
        const fs::path folder = find_upwards({toml_name, procfile_name});
        if (folder.empty()) return std::unexpected(no_manifest());
        return folder;
    }
    std::error_code error;
    const fs::path file = fs::absolute(place.file, error).lexically_normal();
    if (error || !fs::is_regular_file(file, error)) {
        const bool folder = fs::is_directory(file, error);
        return fail(Error::Kind::not_found,
                    folder ? place.file + " is a folder, not a file" : "no file " + place.file,
                    folder
                        ? fmt::format("name the file: -f {}", (file / toml_name).lexically_normal().string())
                        : "name the manifest with -f FILE");
    }
    return file.parent_path();
}

std::string data_of(const Place& place, const fs::path& folder) {
    std::error_code error;
    if (place.data.empty()) return (folder / data_name).string();
    std::string data = fs::absolute(place.data, error).lexically_normal().string();
    if (data.size() > 1 && data.ends_with('/')) data.pop_back();
    return data;
}

// With a Procfile alone there is no file that could say where to listen: the environment may.
std::optional<manifest::Source> addresses_of_environment() {
    manifest::Source source;
    for (const auto& [variable, table] :
         {std::pair("HAVN_GATEWAY_LISTEN", "gateway"), std::pair("HAVN_BROKER_LISTEN", "broker")}) {
        const char* address = std::getenv(variable);
        if (!address || !*address) continue;
        if (!source.file.empty()) source.file += ", ";
        source.file += std::string("$") + variable;
        source.text += fmt::format("[{}]\nlisten = [{}]\n", table,
                                   Json(address).dump(-1, ' ', true, Json::error_handler_t::replace));
    }
    if (source.text.empty()) return std::nullopt;
    return source;
}

}  // namespace

Result<Project> open_project(const Place& place) {
    const Result<fs::path> folder = manifest_folder(place);
    if (!folder) return std::unexpected(folder.error());
    Project project{
        .toml = {}, .procfile = {}, .directory = folder->string(), .data = data_of(place, *folder)};
    const bool only_procfile = fs::path(place.file).filename() == procfile_name;
    const fs::path toml =
        place.file.empty() ? *folder / toml_name : fs::absolute(place.file).lexically_normal();
    if (!only_procfile) {
        Result<std::optional<manifest::Source>> source = read_source(toml);
        if (!source) return std::unexpected(source.error());
        project.toml = std::move(*source);
    }
    Result<std::optional<manifest::Source>> source = read_source(*folder / procfile_name);
    if (!source) return std::unexpected(source.error());
    project.procfile = std::move(*source);
    if (project.procfile && !project.toml) project.toml = addresses_of_environment();
    return project;
}

Result<std::string> find_data(const Place& place) {
    if (!place.data.empty()) return data_of(place, {});
    if (place.file.empty()) {
        const fs::path folder = find_upwards({toml_name, procfile_name, data_name});
        if (folder.empty()) return std::unexpected(no_manifest());
        return data_of(place, folder);
    }
    const Result<fs::path> folder = manifest_folder(place);
    if (!folder) return std::unexpected(folder.error());
    return data_of(place, *folder);
}

namespace {

Json source_json(const std::optional<manifest::Source>& source) {
    if (!source) return nullptr;
    return {{"file", source->file}, {"text", source->text}};
}

}  // namespace

Json request_body(const Project& project, bool force) {
    return {{"toml", source_json(project.toml)},
            {"procfile", source_json(project.procfile)},
            {"directory", project.directory},
            {"force", force}};
}

std::optional<manifest::Manifest> check_manifest(const Project& project) {
    manifest::Parsed parsed = manifest::parse(project.toml, project.procfile);
    std::vector<manifest::Source> sources;
    if (project.toml) sources.push_back(*project.toml);
    if (project.procfile) sources.push_back(*project.procfile);
    const std::string text = manifest::render(parsed.diagnostics, sources);
    std::fwrite(text.data(), 1, text.size(), stderr);
    return std::move(parsed.manifest);
}

bool check_host(const Project& project, const manifest::Manifest& manifest) {
    preflight::Surroundings surroundings{.directory = project.directory, .listening = {}};
    const Platform platform(project.data);
    if (platform.running()) {
        const Result<Json> status = platform.get("/v1/status");
        if (!status) {  // without it the platform's own addresses would count as taken
            print_error(status.error());
            return false;
        }
        for (const char* key : {"gateway", "amqp", "metrics"}) {
            if (!status->contains(key)) continue;
            for (const Json& address : (*status)[key]) surroundings.listening.push_back(address);
        }
    }
    const std::vector<Error> findings = preflight::examine(manifest, surroundings);
    for (const Error& finding : findings) print_error(finding);
    return findings.empty();
}

}  // namespace havn::cli
