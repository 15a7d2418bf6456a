#include "control/core/scale.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/json_reader.h"

namespace havn::control {
namespace {

constexpr std::uint32_t table_version = 1;

// Services and workers share their names.
std::vector<const manifest::Program*> programs_of(const manifest::Manifest& manifest) {
    std::vector<const manifest::Program*> programs;
    for (const manifest::Service& service : manifest.services) programs.push_back(&service);
    for (const manifest::Worker& worker : manifest.workers) programs.push_back(&worker);
    return programs;
}

const manifest::Program* find_program(const manifest::Manifest& manifest, const std::string& name) {
    for (const manifest::Program* program : programs_of(manifest)) {
        if (program->name == name) return program;
    }
    return nullptr;
}

void read_entry(JsonReader& reader, ScaleTable::Entry& entry) {
    reader.number("count", entry.count, 0, instances_max);
    reader.number("over", entry.over, 0, instances_max);
    reader.refuse_others();
}

}  // namespace

Result<Counts> counts_from_json(const Json& json) {
    if (!json.is_object() || json.empty()) {
        return fail(Error::Kind::invalid, "nothing to scale: the body names no service or worker",
                    R"(send {"NAME": COUNT})");
    }
    Counts counts;
    for (const auto& [name, count] : json.items()) {
        if (count.is_null()) {
            counts[name] = std::nullopt;
            continue;
        }
        counts[name] = integer_of<std::uint32_t>(count, 0, instances_max);
        if (counts[name]) continue;
        return fail(
            Error::Kind::invalid, fmt::format("{} instances of '{}'", count.dump(), name),
            fmt::format("give a whole number from 0 to {}, or null for the manifest's", instances_max));
    }
    return counts;
}

Result<> check_names(const Counts& counts, const manifest::Manifest& manifest) {
    for (const auto& [name, count] : counts) {
        if (find_program(manifest, name)) continue;
        std::vector<std::string> names;
        for (const manifest::Program* program : programs_of(manifest)) names.push_back(program->name);
        return fail(Error::Kind::not_found, fmt::format("no service or worker '{}'", name),
                    fmt::format("there are: {}", fmt::join(names, ", ")));
    }
    return {};
}

void ScaleTable::set(const std::string& app, const Counts& counts, const manifest::Manifest& manifest) {
    std::map<std::string, Entry>& entries = entries_[app];
    for (const auto& [name, count] : counts) {
        const manifest::Program* program = find_program(manifest, name);
        if (!program) continue;
        if (!count || *count == program->instances) {
            entries.erase(name);
        } else {
            entries[name] = {*count, program->instances};
        }
    }
    end_for(app, manifest);
}

void ScaleTable::end_for(const std::string& app, const manifest::Manifest& manifest) {
    const auto of_app = entries_.find(app);
    if (of_app == entries_.end()) return;
    std::erase_if(of_app->second, [&manifest](const auto& entry) {
        const manifest::Program* program = find_program(manifest, entry.first);
        return !program || program->instances != entry.second.over;
    });
    if (of_app->second.empty()) entries_.erase(of_app);
}

std::vector<ScaleTable::Scaled> ScaleTable::holding(const std::string& app,
                                                    const manifest::Manifest& manifest) const {
    std::vector<Scaled> holding;
    const auto of_app = entries_.find(app);
    if (of_app == entries_.end()) return holding;
    for (const auto& [name, entry] : of_app->second) {
        const manifest::Program* program = find_program(manifest, name);
        if (program && program->instances == entry.over) holding.push_back({name, entry.count, entry.over});
    }
    return holding;
}

Json to_json(const ScaleTable& table) {
    Json applications = Json::array();
    for (const auto& [app, entries] : table.entries_) {
        Json programs = Json::array();
        for (const auto& [name, entry] : entries) {
            programs.push_back({{"name", name}, {"count", entry.count}, {"over", entry.over}});
        }
        applications.push_back({{"app", app}, {"programs", std::move(programs)}});
    }
    return {{"version", table_version}, {"applications", std::move(applications)}};
}

Result<ScaleTable> scale_table_from_json(const Json& json) {
    ScaleTable table;
    std::uint32_t version = 0;
    JsonReader reader(json, "the table of scales");
    reader.number("version", version, table_version, table_version);
    reader.objects("applications", [&table](JsonReader& application) {
        std::string app;
        application.required_text("app", app);
        application.objects("programs", [&table, &app](JsonReader& program) {
            std::string name;
            program.required_text("name", name);
            read_entry(program, table.entries_[app][name]);
        });
        application.refuse_others();
    });
    reader.refuse_others();
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    return table;
}

manifest::Manifest with_counts(manifest::Manifest manifest, const std::vector<ScaleTable::Scaled>& scaled) {
    for (const ScaleTable::Scaled& one : scaled) {
        for (manifest::Service& service : manifest.services) {
            if (service.name == one.name) service.instances = one.count;
        }
        for (manifest::Worker& worker : manifest.workers) {
            if (worker.name == one.name) worker.instances = one.count;
        }
    }
    return manifest;
}

std::string sentence(const ScaleTable::Scaled& scaled) {
    return fmt::format("{} is scaled to {}; the manifest says {}", scaled.name, scaled.count, scaled.over);
}

Json to_json(const ScaleTable::Scaled& scaled) {
    return {{"name", scaled.name},
            {"instances", scaled.count},
            {"manifest", scaled.over},
            {"text", sentence(scaled)}};
}

}  // namespace havn::control
