#include "contract/supervisor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>

#include "base/json_reader.h"
#include "base/text/dependency_cycles.h"
#include "base/text/program_name.h"

namespace havn::supervisor {

namespace {

constexpr std::uint64_t instances_max = 1'000;
constexpr std::uint64_t day_ms = 24ull * 3'600 * 1'000;

}  // namespace

std::string shown_name(const std::string& app, const std::string& name) {
    return app.empty() ? name : app + "/" + name;
}

Json to_json(const Program& program) {
    Json json{{"app", program.app},
              {"name", program.name},
              {"kind", program.kind == Kind::service ? "service" : "worker"},
              {"instances", program.instances},
              {"command", program.command},
              {"directory", program.directory},
              {"user", program.user},
              {"environment", program.environment},
              {"depends_on", program.depends_on},
              {"start_timeout_ms", program.start_timeout.count()},
              {"startsecs_ms", program.startsecs.count()},
              {"startretries", program.startretries},
              {"stop_timeout_ms", program.stop_timeout.count()},
              {"log_bytes_max", program.log_bytes_max},
              {"log_backups", program.log_backups}};
    if (program.written_by) json["written_by"] = *program.written_by;
    if (program.health) {
        json["health"] = {{"path", program.health->path},
                          {"interval_ms", program.health->interval.count()},
                          {"timeout_ms", program.health->timeout.count()},
                          {"retries", program.health->retries}};
    }
    return json;
}

Json to_json(const Desired& desired) {
    Json listeners = Json::array();
    for (const Listener& listener : desired.listeners) {
        listeners.push_back(
            {{"name", listener.name}, {"address", listener.address}, {"part", listener.part}});
    }
    Json programs = Json::array();
    for (const Program& program : desired.programs) programs.push_back(to_json(program));
    return {{"version", Desired::version},
            {"revision", desired.revision},
            {"app", desired.app},
            {"embedded_broker", desired.embedded_broker},
            {"gateway_threads", desired.gateway_threads},
            {"listeners", std::move(listeners)},
            {"programs", std::move(programs)}};
}

namespace {

void read_health(JsonReader& reader, HealthCheck& health) {
    reader.text("path", health.path);
    reader.duration("interval_ms", health.interval, 1, day_ms);
    reader.duration("timeout_ms", health.timeout, 1, day_ms);
    reader.number("retries", health.retries, 1, 1'000);
    reader.refuse_others();
    const bool printable = std::ranges::all_of(health.path, [](char c) { return c > ' ' && c < 0x7f; });
    if (!health.path.starts_with('/') || !printable) {
        reader.refuse("path", "expected a path from / on without spaces");
    }
}

void check_program(const Program& program, JsonReader& reader) {
    if (!is_program_name(program.name)) {
        reader.refuse("name", fmt::format("expected {}, found '{}'", program_name_form, program.name));
    }
    if (!program.app.empty() && !is_program_name(program.app)) {
        reader.refuse("app", fmt::format("expected {}, found '{}'", program_name_form, program.app));
    }
    if (is_part_name(program.name)) {
        reader.refuse("name", fmt::format("'{}' is the name of a part of the platform", program.name),
                      "give the program another name");
    }
    if (program.command.find_first_not_of(" \t\n") == std::string::npos) {
        reader.refuse("command", fmt::format("the command of '{}' is empty", program.name));
    }
    if (!program.directory.starts_with('/')) {
        reader.refuse("directory", fmt::format("expected an absolute path, found '{}'", program.directory));
    }
    for (const auto& [name, value] : program.environment) {
        if (name.empty() || name.find('=') != std::string::npos) {
            reader.refuse("environment." + name, "expected NAME: \"value\"");
        }
    }
}

void read_program(JsonReader& reader, Program& program) {
    reader.text("app", program.app);
    reader.required_text("name", program.name);
    std::string kind;
    reader.required_text("kind", kind);
    if (kind == "worker") program.kind = Kind::worker;
    if (kind != "worker" && kind != "service") reader.refuse_value("kind", "service or worker");
    reader.number("instances", program.instances, 0, instances_max);
    reader.required_text("command", program.command);
    reader.required_text("directory", program.directory);
    reader.text("user", program.user);
    reader.texts("depends_on", program.depends_on);
    reader.duration("start_timeout_ms", program.start_timeout, 1, day_ms);
    reader.duration("startsecs_ms", program.startsecs, 0, day_ms);
    reader.number("startretries", program.startretries, 0, 1'000'000);
    reader.duration("stop_timeout_ms", program.stop_timeout, 0, day_ms);
    reader.number("log_bytes_max", program.log_bytes_max, 1, std::numeric_limits<std::int64_t>::max());
    reader.number("log_backups", program.log_backups, 0, 1'000);
    reader.texts_by_name("environment", program.environment);
    reader.object("health", [&](JsonReader& item) { read_health(item, program.health.emplace()); });
    std::uint32_t author = 0;
    reader.number("written_by", author, 0, std::numeric_limits<std::uint32_t>::max());
    if (reader.has("written_by")) program.written_by = author;
    reader.refuse_others();
    check_program(program, reader);
}

}  // namespace

Result<Program> program_from_json(const Json& json) {
    Program program;
    JsonReader reader(json, "the program");
    read_program(reader, program);
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    return program;
}

namespace {

void read_listener(JsonReader& reader, Listener& listener) {
    reader.required_text("name", listener.name);
    reader.required_text("address", listener.address);
    reader.required_text("part", listener.part);
    reader.refuse_others();
    if (listener.part != "gateway" && listener.part != "broker" && listener.part != "control") {
        reader.refuse("part", fmt::format("expected gateway, broker or control, found '{}'", listener.part));
    }
    if (listener.name.empty()) reader.refuse("name", "must not be empty");
    if (listener.address.empty()) reader.refuse("address", "must not be empty");
    // Root opens it, and replaces what has its name: there is this one.
    if (listener.address.starts_with("unix:") && listener.address != "unix:run/amqp.sock") {
        reader.refuse("address",
                      fmt::format("expected HOST:PORT or unix:run/amqp.sock, found '{}'", listener.address));
    }
}

using ProgramsByName = std::map<std::string_view, const Program*>;

// Of one application.
Result<> check_dependencies(const ProgramsByName& programs, const std::vector<std::string_view>& names) {
    for (const std::string_view name : names) {
        for (const std::string& next : programs.at(name)->depends_on) {
            if (programs.contains(next)) continue;
            return fail(Error::Kind::invalid,
                        fmt::format("'{}' depends on '{}', which does not exist", name, next));
        }
    }
    const std::vector<std::vector<std::string_view>> cycles = find_cycles(names, [&](std::string_view name) {
        const std::vector<std::string>& next = programs.at(name)->depends_on;
        return std::vector<std::string_view>(next.begin(), next.end());
    });
    if (cycles.empty()) return {};
    return fail(Error::Kind::invalid,
                fmt::format("depends_on goes in a circle: {} -> {}", fmt::join(cycles.front(), " -> "),
                            cycles.front().front()),
                "remove one of these dependencies");
}

Result<> check_programs(const Desired& desired) {
    std::map<std::string_view, ProgramsByName> applications;
    std::map<std::string_view, std::vector<std::string_view>> names;  // in the order of the document
    for (const Program& program : desired.programs) {
        names[program.app].push_back(program.name);
        if (!applications[program.app].emplace(program.name, &program).second) {
            return fail(Error::Kind::invalid,
                        fmt::format("two programs are named '{}'", shown_name(program.app, program.name)));
        }
    }
    for (const auto& [app, programs] : applications) {
        if (Result<> checked = check_dependencies(programs, names[app]); !checked) return checked;
    }
    return {};
}

Result<> check_together(const Desired& desired) {
    if (Result<> checked = check_programs(desired); !checked) return checked;
    std::set<std::string> addresses;
    for (const Listener& listener : desired.listeners) {
        if (!addresses.insert(listener.address).second) {
            return fail(Error::Kind::invalid,
                        fmt::format("two listeners have the address {}", listener.address));
        }
    }
    return {};
}

}  // namespace

Result<Desired> desired_from_json(const Json& json) {
    Desired desired;
    JsonReader reader(json, "the desired state");
    std::uint32_t version = 1;
    reader.number("version", version, 1, std::numeric_limits<std::uint32_t>::max());
    if (version > Desired::version) {
        reader.refuse("version", fmt::format("{} is of a later Havn; this one reads up to {}", version,
                                             Desired::version));
    }
    reader.number("revision", desired.revision, 0, std::numeric_limits<std::uint64_t>::max());
    reader.text("app", desired.app);
    reader.flag("embedded_broker", desired.embedded_broker);
    reader.number("gateway_threads", desired.gateway_threads, 0, 256);
    reader.objects("listeners",
                   [&](JsonReader& item) { read_listener(item, desired.listeners.emplace_back()); });
    reader.objects("programs",
                   [&](JsonReader& item) { read_program(item, desired.programs.emplace_back()); });
    reader.refuse_others();
    if (Result<> read = reader.result(); !read) return std::unexpected(read.error());
    if (Result<> checked = check_together(desired); !checked) return std::unexpected(checked.error());
    return desired;
}

}  // namespace havn::supervisor
