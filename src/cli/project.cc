#include "cli/project.h"

#include <cstdio>
#include <filesystem>

#include "io/file.h"

namespace havn::cli {

namespace fs = std::filesystem;

static constexpr const char* toml_name = "havn.toml";
static constexpr const char* procfile_name = "Procfile";
static constexpr const char* data_name = ".havn";

// Whether anybody may put a file there, as into /tmp: what stands in such a folder may be anybody's.
static bool is_open_to_all(const fs::path& folder) {
    std::error_code error;
    return (fs::status(folder, error).permissions() & fs::perms::others_write) != fs::perms::none;
}

// The nearest folder, from the working folder upwards, that has one of `names`; empty when none has.
static fs::path find_upwards(std::initializer_list<const char*> names) {
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

static Error no_manifest() {
    std::error_code ignored;
    return {Error::Kind::not_found,
            "no havn.toml and no Procfile in " + fs::current_path(ignored).string() + " or above",
            "write one with `havn init`, or name it with -f FILE"};
}

// How a path is best shown to whoever stands in the working folder.
static std::string shown(const fs::path& path) {
    std::error_code error;
    const fs::path relative = fs::relative(path, error);
    return error || relative.string().starts_with("..") ? path.string() : relative.string();
}

static Result<std::optional<manifest::Source>> read_source(const fs::path& path) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return std::optional<manifest::Source>();
    Result<std::string> text = io::read_file(path.string());
    if (!text) return std::unexpected(text.error());
    return manifest::Source{shown(path), std::move(*text)};
}

static Result<fs::path> manifest_folder(const Place& place) {
    if (place.file.empty()) {
        const fs::path folder = find_upwards({toml_name, procfile_name});
        if (folder.empty()) return std::unexpected(no_manifest());
        return folder;
    }
    std::error_code error;
    const fs::path file = fs::absolute(place.file, error).lexically_normal();
    if (error || !fs::is_regular_file(file, error)) {
        return fail(Error::Kind::not_found, "no file " + place.file, "name the manifest with -f FILE");
    }
    return file.parent_path();
}

static std::string data_of(const Place& place, const fs::path& folder) {
    std::error_code error;
    if (place.data.empty()) return (folder / data_name).string();
    std::string data = fs::absolute(place.data, error).lexically_normal().string();
    if (data.size() > 1 && data.ends_with('/')) data.pop_back();
    return data;
}

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

std::optional<manifest::Manifest> check_manifest(const Project& project) {
    manifest::Parsed parsed = manifest::parse(project.toml, project.procfile);
    std::vector<manifest::Source> sources;
    if (project.toml) sources.push_back(*project.toml);
    if (project.procfile) sources.push_back(*project.procfile);
    const std::string text = manifest::render(parsed.diagnostics, sources);
    std::fwrite(text.data(), 1, text.size(), stderr);
    return std::move(parsed.manifest);
}

}  // namespace havn::cli
