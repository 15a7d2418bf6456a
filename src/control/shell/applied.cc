#include "control/shell/applied.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

#include "base/log.h"
#include "io/file.h"
#include "io/inherited.h"

namespace havn::control {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t revisions_kept = 10;
constexpr std::string_view prefix = "rev-";

}  // namespace

std::string Applied::path_of(std::uint64_t number) const {
    return folder_ + "/" + std::string(prefix) + std::to_string(number);
}

namespace {

std::optional<std::uint64_t> number_of(std::string_view name) {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    std::uint64_t number = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    return number;
}

Error damaged(const std::string& path, const Error& cause) {
    return {Error::Kind::corrupt, path + ": " + cause.message,
            "point applied/current at an older rev-N, or apply the manifest anew after removing applied/"};
}

template <class T>
Result<> load(const std::string& path, T& value, Result<T> (*from_json)(const Json&)) {
    Result<std::string> text = io::read_file(path);
    if (!text) return std::unexpected(damaged(path, text.error()));
    Result<Json> json = parse_json(*text);
    if (!json) return std::unexpected(damaged(path, json.error()));
    Result<T> read = from_json(*json);
    if (!read) return std::unexpected(damaged(path, read.error()));
    value = std::move(*read);
    return {};
}

Result<Json> as_it_is(const Json& json) {
    return json;
}

}  // namespace

Result<std::optional<Revision>> Applied::current() const {
    std::error_code error;
    const fs::path target = fs::read_symlink(folder_ + "/current", error);
    if (error) return std::optional<Revision>();
    const std::string path = folder_ + "/current";
    Revision revision;
    revision.number = number_of(target.filename().string()).value_or(0);
    Json origin;
    Result<> loaded = load(path + "/manifest.json", revision.manifest, manifest::manifest_from_json);
    if (loaded) loaded = load(path + "/origin.json", origin, as_it_is);
    if (loaded) {
        loaded = load(path + "/supervisor.json", revision.compiled.supervisor, supervisor::desired_from_json);
    }
    if (loaded) loaded = load(path + "/gateway.json", revision.compiled.gateway, gateway::config_from_json);
    if (loaded) loaded = load(path + "/broker.json", revision.compiled.broker, broker::config_from_json);
    if (!loaded) return std::unexpected(loaded.error());
    revision.file = origin.value("file", "");
    revision.directory = origin.value("directory", "");
    revision.applied_at = origin.value("applied_at", "");
    return std::optional<Revision>(std::move(revision));
}

namespace {

// For us alone, or also for the part whose group is given: there are passwords in it.
Result<> write_synced(const std::string& path, const Json& json, std::optional<gid_t> reader = std::nullopt) {
    Result<io::Fd> file = io::open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!file) return std::unexpected(file.error());
    constexpr auto same_owner = static_cast<uid_t>(-1);
    if (reader && ::fchown(file->get(), same_owner, *reader) != 0) return fail_errno("chown " + path);
    if (reader && ::fchmod(file->get(), 0640) != 0) return fail_errno("chmod " + path);
    if (Result<> written = io::write_all(file->get(), json.dump(2) + "\n"); !written) return written;
    if (::fsync(file->get()) != 0) return fail_errno("fsync " + path);
    return {};
}

}  // namespace

Result<> Applied::write(const Revision& revision) const {
    const std::string path = path_of(revision.number);
    const std::string draft = path + ".new";
    std::error_code ignored;
    fs::remove_all(draft, ignored);
    fs::remove_all(path, ignored);
    if (Result<> made = io::make_folder(draft, 0711); !made) return made;  // entered, never listed
    const std::vector<gid_t> groups = io::inherited_groups();
    const bool apart = groups.size() == 2;
    const std::optional<gid_t> gateway = apart ? std::optional(groups[0]) : std::nullopt;
    const std::optional<gid_t> broker = apart ? std::optional(groups[1]) : std::nullopt;
    const Json origin{
        {"file", revision.file}, {"directory", revision.directory}, {"applied_at", revision.applied_at}};
    Result<> written = write_synced(draft + "/manifest.json", manifest::to_json(revision.manifest));
    if (written) written = write_synced(draft + "/origin.json", origin);
    if (written) {
        written = write_synced(draft + "/supervisor.json", supervisor::to_json(revision.compiled.supervisor));
    }
    const Compiled& compiled = revision.compiled;
    if (written) written = write_synced(draft + "/gateway.json", gateway::to_json(compiled.gateway), gateway);
    if (written) written = write_synced(draft + "/broker.json", broker::to_json(compiled.broker), broker);
    if (written) written = io::sync_folder(draft);
    if (!written) return written;
    if (::rename(draft.c_str(), path.c_str()) != 0) return fail_errno("rename " + draft);
    return io::sync_folder(folder_);
}

Result<> Applied::make_current(std::uint64_t number) const {
    Result<> switched =
        io::replace_symlink(folder_ + "/current", std::string(prefix) + std::to_string(number));
    if (switched) remove_old(number);
    return switched;
}

void Applied::discard(std::uint64_t number) const {
    std::error_code ignored;
    fs::remove_all(path_of(number), ignored);
}

void Applied::remove_old(std::uint64_t newest) const {
    std::error_code error;
    for (fs::directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
        const std::optional<std::uint64_t> number = number_of(entry->path().filename().string());
        if (!number || *number + revisions_kept > newest) continue;
        std::error_code failed;
        fs::remove_all(entry->path(), failed);
        if (failed) log::warning("cannot remove {}: {}", entry->path().string(), failed.message());
    }
}

std::map<std::string, std::string> Applied::service_listeners(const Revision& revision) {
    constexpr std::string_view kind = "service:";
    std::map<std::string, std::string> addresses;
    for (const supervisor::Listener& listener : revision.compiled.supervisor.listeners) {
        if (listener.name.starts_with(kind)) addresses[listener.name.substr(kind.size())] = listener.address;
    }
    return addresses;
}

}  // namespace havn::control
