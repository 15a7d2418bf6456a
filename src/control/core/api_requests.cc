#include "control/core/api_requests.h"

#include <fmt/format.h>

#include <charconv>

namespace havn::control {

Result<> check_name(const std::string& name) {
    if (!name.empty() && name.size() <= name_bytes_max) return {};
    return fail(Error::Kind::invalid,
                fmt::format("a name of {} bytes; expected 1 to {}", name.size(), name_bytes_max));
}

Result<RestartRequest> read_restart(const Json& body) {
    static constexpr const char* expected = R"(expected {"name": TEXT, "instance": NUMBER})";
    if (!body.is_object() || !body.contains("name") || !body["name"].is_string()) {
        return fail(Error::Kind::invalid, expected);
    }
    RestartRequest request{.name = body["name"].get<std::string>()};
    if (Result<> named = check_name(request.name); !named) return std::unexpected(named.error());
    if (!body.contains("instance") || body["instance"].is_null()) return request;
    const std::optional<std::uint32_t> instance =
        integer_of<std::uint32_t>(body["instance"], 1, instance_max);
    if (!instance) {
        return fail(Error::Kind::invalid, expected,
                    fmt::format("give a whole number from 1 to {}, or null for all instances", instance_max));
    }
    request.instance = *instance;
    return request;
}

namespace {

Result<std::uint64_t> read_number(const std::map<std::string, std::string>& query, const char* key,
                                  std::uint64_t otherwise, std::uint64_t max) {
    const auto found = query.find(key);
    if (found == query.end() || found->second.empty()) return otherwise;
    const std::string& text = found->second;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > max) {
        return fail(Error::Kind::invalid,
                    fmt::format("'{}' is no number that fits", text.size() > 40 ? "…" : text),
                    fmt::format("give {}=0 to {}", key, max));
    }
    return value;
}

}  // namespace

Result<LogsRequest> read_logs(const std::map<std::string, std::string>& query) {
    LogsRequest request;
    if (const auto name = query.find("name"); name != query.end() && !name->second.empty()) {
        request.name = name->second;
        if (Result<> named = check_name(request.name); !named) return std::unexpected(named.error());
    }
    const Result<std::uint64_t> instance = read_number(query, "instance", 0, instance_max);
    if (!instance) return std::unexpected(instance.error());
    const Result<std::uint64_t> lines = read_number(query, "lines", request.lines, log_lines_max);
    if (!lines) return std::unexpected(lines.error());
    request.instance = static_cast<std::uint32_t>(*instance);
    request.lines = static_cast<std::size_t>(*lines);
    const auto follow = query.find("follow");
    request.follow = follow != query.end() && !follow->second.empty() && follow->second != "0" &&
                     follow->second != "false";
    return request;
}

}  // namespace havn::control
