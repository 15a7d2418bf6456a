#include "control/shell/file_revision_store.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/json_reader.h"
#include "base/log.h"
#include "io/file.h"
#include "manifest/manifest.h"

namespace havn::control {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "rev-";
constexpr std::uint32_t revision_version = 2;  // of the folder; 1 had what the parts read in it

std::optional<std::uint64_t> number_of(std::string_view name) {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    return number;
}

Error damaged(const std::string& path, const Error& cause) {
    return {Error::Kind::corrupt, path + ": " + cause.message,
            "point applied/current at an older rev-N, or apply the manifest anew after removing applied/"};
}

Result<Json> load(const std::string& path) {
    Result<std::string> text = io::read_file(path);
    if (!text) return std::unexpected(damaged(path, text.error()));
    Result<Json> json = parse_json(*text);
    if (!json) return std::unexpected(damaged(path, json.error()));
    return json;
}

Result<> load_manifest(const std::string& path, manifest::Manifest& manifest) {
    const Result<Json> json = load(path);
    if (!json) return std::unexpected(json.error());
    Result<manifest::Manifest> read = manifest::manifest_from_json(*json);
    if (!read) return std::unexpected(damaged(path, read.error()));
    manifest = std::move(*read);
    return {};
}

Result<> load_origin(const std::string& path, Revision& revision) {
    const Result<Json> json = load(path);
    if (!json) return std::unexpected(json.error());
    std::uint32_t version = 1;
    JsonReader reader(*json, "the origin");
    reader.number("version", version, 1, revision_version);
    reader.text("file", revision.source.file);
    reader.text("directory", revision.source.directory);
    reader.text("applied_at", revision.applied_at);
    reader.refuse_others();
    if (Result<> read = reader.result(); !read) return std::unexpected(damaged(path, read.error()));
    return {};
}

// Version 1 had the placement within what the supervisor and the broker were told.
Result<> load_placement(const std::string& folder, Placement& placement) {
    const std::string path = folder + "/placement.json";
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
        const Result<Json> supervisor = load(folder + "/supervisor.json");
        if (!supervisor) return std::unexpected(supervisor.error());
        const Result<Json> broker = load(folder + "/broker.json");
        if (!broker) return std::unexpected(broker.error());
        placement = placement_from_version_1(*supervisor, *broker);
        return {};
    }
    const Result<Json> json = load(path);
    if (!json) return std::unexpected(json.error());
    Result<Placement> read = placement_from_json(*json);
    if (!read) return std::unexpected(damaged(path, read.error()));
    placement = std::move(*read);
    return {};
}

std::string pretty(const Json& json) {
    return json.dump(2) + "\n";
}

}  // namespace

std::string FileRevisionStore::folder_of(const std::string& app) const {
    return app.empty() ? folder_ : folder_ + "/apps/" + app;
}

std::string FileRevisionStore::path_of(const std::string& app, std::uint64_t number) const {
    return folder_of(app) + "/" + std::string(prefix) + std::to_string(number);
}

Result<std::vector<std::string>> FileRevisionStore::applications() const {
    std::vector<std::string> apps;
    std::error_code error;
    if (fs::is_symlink(folder_ + "/current", error)) apps.emplace_back();
    for (fs::directory_iterator entry(folder_ + "/apps", error), end; !error && entry != end;
         entry.increment(error)) {
        if (fs::is_symlink(entry->path() / "current", error)) apps.push_back(entry->path().filename());
    }
    std::ranges::sort(apps);
    return apps;
}

Result<std::optional<Revision>> FileRevisionStore::current(const std::string& app) const {
    const std::string path = folder_of(app) + "/current";
    std::error_code error;
    const fs::path target = fs::read_symlink(path, error);
    if (error) return std::optional<Revision>();
    Revision revision;
    revision.number = number_of(target.filename().string()).value_or(0);
    revision.source.app = app;
    Result<> loaded = load_manifest(path + "/manifest.json", revision.source.manifest);
    if (loaded) loaded = load_origin(path + "/origin.json", revision);
    if (loaded) loaded = load_placement(path, revision.placement);
    if (!loaded) return std::unexpected(loaded.error());
    return std::optional<Revision>(std::move(revision));
}

Result<std::vector<std::uint64_t>> FileRevisionStore::list(const std::string& app) const {
    std::vector<std::uint64_t> numbers;
    std::error_code error;
    for (fs::directory_iterator entry(folder_of(app), error), end; !error && entry != end;
         entry.increment(error)) {
        const std::optional<std::uint64_t> number = number_of(entry->path().filename().string());
        if (number) numbers.push_back(*number);
    }
    std::ranges::sort(numbers);
    return numbers;
}

Result<> FileRevisionStore::put(const Revision& revision) {
    const std::string& app = revision.source.app;
    if (!app.empty()) {
        if (Result<> made = io::make_folder(folder_ + "/apps", 0700); !made) return made;
        if (Result<> made = io::make_folder(folder_of(app), 0700); !made) return made;
    }
    const std::string path = path_of(app, revision.number);
    const std::string draft = path + ".new";
    std::error_code ignored;
    fs::remove_all(draft, ignored);
    fs::remove_all(path, ignored);
    if (Result<> made = io::make_folder(draft, 0700); !made) return made;
    const Json origin{{"version", revision_version},
                      {"file", revision.source.file},
                      {"directory", revision.source.directory},
                      {"applied_at", revision.applied_at}};
    Result<> written =
        io::write_file(draft + "/manifest.json", pretty(manifest::to_json(revision.source.manifest)));
    if (written) written = io::write_file(draft + "/origin.json", pretty(origin));
    if (written) written = io::write_file(draft + "/placement.json", pretty(to_json(revision.placement)));
    if (written) written = io::sync_folder(draft);
    if (!written) return written;
    if (::rename(draft.c_str(), path.c_str()) != 0) return fail_errno("rename " + draft);
    return io::sync_folder(folder_of(app));
}

Result<> FileRevisionStore::make_current(const std::string& app, std::uint64_t number) {
    const std::string link = folder_of(app) + "/current";
    std::error_code none;
    const fs::path before = fs::read_symlink(link, none);
    Result<> switched = io::replace_symlink(link, std::string(prefix) + std::to_string(number));
    if (switched) {
        remove_old(app, number);
    } else if (!none) {
        [[maybe_unused]] Result<> undone = io::replace_symlink(link, before.string());
    }
    return switched;
}

void FileRevisionStore::discard(const std::string& app, std::uint64_t number) {
    std::error_code ignored;
    fs::remove_all(path_of(app, number), ignored);
}

void FileRevisionStore::remove_old(const std::string& app, std::uint64_t newest) const {
    const Result<std::vector<std::uint64_t>> numbers = list(app);
    if (!numbers) return;
    for (const std::uint64_t number : *numbers) {
        if (number + kept > newest) continue;
        std::error_code failed;
        fs::remove_all(path_of(app, number), failed);
        if (failed) log::warning("cannot remove {}: {}", path_of(app, number), failed.message());
    }
}

}  // namespace havn::control
