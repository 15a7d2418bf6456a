#include "sim/reconciler_stores.h"

#include <charconv>

#include "manifest/manifest.h"

namespace havn::control {
namespace {

Result<> write_synced(sim::Files& disk, const std::string& name, const std::string& text) {
    if (Result<> written = disk.write(name, text); !written) return written;
    return disk.sync_file(name);
}

Result<> replace(sim::Files& disk, const std::string& name, const std::string& text) {
    if (Result<> written = write_synced(disk, name + ".new", text); !written) return written;
    if (Result<> renamed = disk.rename(name + ".new", name); !renamed) return renamed;
    return disk.sync_names();
}

std::string name_of(std::uint64_t number) {
    return "rev-" + std::to_string(number);
}

Result<Json> load(const sim::Files& disk, const std::string& name) {
    const std::optional<std::string> text = disk.read(name);
    if (!text) return fail(Error::Kind::corrupt, name + " is not there");
    Result<Json> json = parse_json(*text);
    if (!json) return fail(Error::Kind::corrupt, name + ": " + json.error().message);
    return json;
}

}  // namespace

Result<std::vector<std::string>> SimRevisionStore::applications() const {
    return disk_.read("current") ? std::vector<std::string>{""} : std::vector<std::string>{};
}

Result<std::optional<Revision>> SimRevisionStore::current(const std::string&) const {
    const std::optional<std::string> name = disk_.read("current");
    if (!name) return std::optional<Revision>();
    const Result<Json> json = load(disk_, *name);
    if (!json) return std::unexpected(json.error());
    Result<manifest::Manifest> manifest = manifest::manifest_from_json((*json)["manifest"]);
    if (!manifest) return std::unexpected(manifest.error());
    Result<Placement> placement = placement_from_json((*json)["placement"]);
    if (!placement) return std::unexpected(placement.error());
    Revision revision;
    revision.number = integer_of<std::uint64_t>((*json)["number"]).value_or(0);
    revision.source.manifest = std::move(*manifest);
    revision.source.directory = text_of(*json, "directory");
    revision.applied_at = text_of(*json, "applied_at");
    revision.placement = std::move(*placement);
    return std::optional<Revision>(std::move(revision));
}

Result<std::vector<std::uint64_t>> SimRevisionStore::list(const std::string&) const {
    std::vector<std::uint64_t> numbers;
    for (const std::string& name : disk_.list()) {
        std::uint64_t number = 0;
        const char* const end = name.data() + name.size();
        if (!name.starts_with("rev-") || std::from_chars(name.data() + 4, end, number).ptr != end) continue;
        numbers.push_back(number);
    }
    return numbers;
}

Result<> SimRevisionStore::put(const Revision& revision) {
    return replace(disk_, name_of(revision.number),
                   Json{{"number", revision.number},
                        {"manifest", manifest::to_json(revision.source.manifest)},
                        {"directory", revision.source.directory},
                        {"applied_at", revision.applied_at},
                        {"placement", to_json(revision.placement)}}
                       .dump());
}

Result<> SimRevisionStore::make_current(const std::string&, std::uint64_t number) {
    if (Result<> switched = replace(disk_, "current", name_of(number)); !switched) return switched;
    for (const std::uint64_t other : *list("")) {
        if (other + 3 > number) continue;
        [[maybe_unused]] Result<> removed = disk_.remove(name_of(other));
    }
    return {};
}

void SimRevisionStore::discard(const std::string&, std::uint64_t number) {
    [[maybe_unused]] Result<> removed = disk_.remove(name_of(number));
}

Result<ScaleTable> SimScaleStore::load() const {
    if (!disk_.read("scale")) return ScaleTable{};
    const Result<Json> json = control::load(disk_, "scale");
    if (!json) return std::unexpected(json.error());
    return scale_table_from_json(*json);
}

Result<> SimScaleStore::save(const ScaleTable& table) {
    return replace(disk_, "scale", to_json(table).dump());
}

Result<> SimComponentFiles::prepare(const Compiled& compiled) {
    Result<> written = write_synced(disk_, "gateway.new", gateway::to_json(compiled.gateway).dump());
    if (!written) return written;
    return write_synced(disk_, "broker.new", broker::to_json(compiled.broker).dump());
}

Result<> SimComponentFiles::commit() {
    for (const std::string name : {"gateway", "broker"}) {
        if (Result<> renamed = disk_.rename(name + ".new", name); !renamed) return renamed;
    }
    return disk_.sync_names();
}

}  // namespace havn::control
