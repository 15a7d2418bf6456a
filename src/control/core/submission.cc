#include "control/core/submission.h"

#include <fmt/format.h>

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

Result<SubmitRequest> read_submission(const Json& body, std::vector<manifest::Diagnostic>* diagnostics) {
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
    return SubmitRequest{{.app = {},
                          .manifest = std::move(*parsed.manifest),
                          .file = std::move(file),
                          .directory = body["directory"].get<std::string>()},
                         force};
}

}  // namespace havn::control
