#include "control/core/wanted.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "control/core/api_requests.h"

namespace havn::control {

namespace {

Result<std::optional<manifest::Source>> read_source(const Json& body, const char* key) {
    if (!body.contains(key) || body[key].is_null()) return std::optional<manifest::Source>();
    const Json& source = body[key];
    const bool valid = source.is_object() && source.contains("file") && source["file"].is_string() &&
                       source.contains("text") && source["text"].is_string();
    if (!valid) {
        return fail(Error::Kind::invalid,
                    fmt::format("'{}' is no object with the texts 'file' and 'text'", key));
    }
    manifest::Source read{source["file"].get<std::string>(), source["text"].get<std::string>()};
    if (read.text.size() > manifest::source_bytes_max || read.file.size() > path_bytes_max) {
        return fail(Error::Kind::invalid, fmt::format("'{}' is too long: {} bytes; at most {} are read", key,
                                                      read.text.size(), manifest::source_bytes_max));
    }
    return read;
}

}  // namespace

Result<WantedRequest> read_wanted(const Json& body, std::vector<manifest::Diagnostic>* diagnostics) {
    if (!body.is_object()) return fail(Error::Kind::invalid, "the request's body is no JSON object");
    const Result<std::optional<manifest::Source>> toml = read_source(body, "toml");
    if (!toml) return std::unexpected(toml.error());
    const Result<std::optional<manifest::Source>> procfile = read_source(body, "procfile");
    if (!procfile) return std::unexpected(procfile.error());
    if (!*toml && !*procfile) return fail(Error::Kind::invalid, "neither 'toml' nor 'procfile' is there");
    const bool absolute = body.contains("directory") && body["directory"].is_string() &&
                          body["directory"].get_ref<const std::string&>().starts_with('/') &&
                          body["directory"].get_ref<const std::string&>().size() <= path_bytes_max;
    if (!absolute) {
        return fail(Error::Kind::invalid, "'directory' is missing or no absolute path",
                    "give the folder of the manifest");
    }
    manifest::Parsed parsed = manifest::parse(*toml, *procfile);
    if (diagnostics) *diagnostics = parsed.diagnostics;
    if (!parsed.manifest) {
        std::vector<manifest::Source> sources;
        if (*toml) sources.push_back(**toml);
        if (*procfile) sources.push_back(**procfile);
        return fail(Error::Kind::invalid, manifest::render(parsed.diagnostics, sources));
    }
    const bool force = body.contains("force") && body["force"] == true;
    std::string file = *toml ? (*toml)->file : (*procfile)->file;
    return WantedRequest{{std::move(*parsed.manifest), std::move(file), body["directory"].get<std::string>()},
                         force};
}

namespace {

constexpr std::int64_t instances_max = 1'000;

manifest::Program* find_program(manifest::Manifest& manifest, const std::string& name) {
    for (manifest::Service& service : manifest.services) {
        if (service.name == name) return &service;
    }
    for (manifest::Worker& worker : manifest.workers) {
        if (worker.name == name) return &worker;
    }
    return nullptr;
}

std::vector<std::string> program_names(const manifest::Manifest& manifest) {
    std::vector<std::string> names;
    for (const manifest::Service& service : manifest.services) names.push_back(service.name);
    for (const manifest::Worker& worker : manifest.workers) names.push_back(worker.name);
    return names;
}

}  // namespace

Result<manifest::Manifest> scaled(manifest::Manifest manifest, const Json& counts) {
    if (!counts.is_object() || counts.empty()) {
        return fail(Error::Kind::invalid, "nothing to scale: the body names no service or worker",
                    R"(send {"NAME": COUNT})");
    }
    for (const auto& [name, count] : counts.items()) {
        manifest::Program* program = find_program(manifest, name);
        if (!program) {
            return fail(Error::Kind::not_found, fmt::format("no service or worker '{}'", name),
                        fmt::format("there are: {}", fmt::join(program_names(manifest), ", ")));
        }
        const std::optional<std::uint32_t> wanted = integer_of<std::uint32_t>(count, 0, instances_max);
        if (!wanted) {
            return fail(Error::Kind::invalid, fmt::format("{} instances of '{}'", count.dump(), name),
                        fmt::format("give a whole number from 0 to {}", instances_max));
        }
        program->instances = *wanted;
        for (manifest::Worker& worker : manifest.workers) {  // one whose range is given runs its least
            if (worker.name != name || !worker.scale) continue;
            worker.scale->min = program->instances;
            worker.scale->max = std::max(worker.scale->max, program->instances);
        }
    }
    return manifest;
}

}  // namespace havn::control
