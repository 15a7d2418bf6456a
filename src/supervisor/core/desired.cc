#include "supervisor/core/desired.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>

namespace havn::supervisor {

static constexpr std::uint64_t instances_max = 1'000;
static constexpr std::uint64_t day_ms = 24ull * 3'600 * 1'000;
static constexpr std::string_view reserved_names[] = {"keeper", "supervisor", "control", "gateway", "broker"};

Json to_json(const Program& program) {
    Json json{{"name", program.name},
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
    return {{"revision", desired.revision},
            {"app", desired.app},
            {"embedded_broker", desired.embedded_broker},
            {"gateway_threads", desired.gateway_threads},
            {"listeners", std::move(listeners)},
            {"programs", std::move(programs)}};
}

// One object of the document. Remembers the first thing that was wrong, and which keys were asked for, so
// that `finish` can name what nobody asked for.
class ObjectReader {
  public:
    ObjectReader(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
        if (!json.is_object()) wrong("", "an object", json);
    }

    void text(const char* key, std::string& value, bool required = false) {
        const Json* found = find(key, required);
        if (!found) return;
        if (!found->is_string()) return wrong(key, "a string", *found);
        value = found->get<std::string>();
        if (value.find('\0') != std::string::npos) wrong(key, "a string without NUL", *found);
    }

    void flag(const char* key, bool& value) {
        const Json* found = find(key, false);
        if (!found) return;
        if (!found->is_boolean()) return wrong(key, "true or false", *found);
        value = found->get<bool>();
    }

    template <class Integer>
    void number(const char* key, Integer& value, std::uint64_t low, std::uint64_t high) {
        const Json* found = find(key, false);
        if (!found) return;
        const bool whole =
            found->is_number_unsigned() || (found->is_number_integer() && found->get<long>() >= 0);
        const std::uint64_t number = whole ? found->get<std::uint64_t>() : 0;
        if (!whole || number < low || number > high) {
            return wrong(key, fmt::format("a whole number from {} to {}", low, high), *found);
        }
        value = static_cast<Integer>(number);
    }

    void duration(const char* key, milliseconds& value, std::uint64_t low_ms = 0) {
        std::uint64_t count = static_cast<std::uint64_t>(value.count());
        number(key, count, low_ms, day_ms);
        value = milliseconds(count);
    }

    // Calls `each(element, path of the element)` and keeps the first error.
    template <class Function>
    void array(const char* key, Function each) {
        const Json* found = find(key, false);
        if (!found) return;
        if (!found->is_array()) return wrong(key, "an array", *found);
        for (std::size_t i = 0; i < found->size() && !error_; ++i) {
            Result<> result = each((*found)[i], fmt::format("{}{}[{}]", prefix(), key, i));
            if (!result) error_ = result.error();
        }
    }

    const Json* find(const char* key, bool required) {
        asked_.insert(key);
        if (error_) return nullptr;
        const auto found = json_.find(key);
        if (found != json_.end()) return &*found;
        if (required) error_ = Error{Error::Kind::invalid, fmt::format("{}{} is missing", prefix(), key), {}};
        return nullptr;
    }

    void wrong(std::string_view key, std::string_view expected, const Json& found) {
        if (error_) return;
        std::string shown = found.dump(-1, ' ', false, Json::error_handler_t::replace);
        if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
        const std::string where =
            key.empty() ? (path_.empty() ? "the desired state" : path_) : prefix() + std::string(key);
        error_ =
            Error{Error::Kind::invalid, fmt::format("{}: expected {}, found {}", where, expected, shown), {}};
    }

    Result<> finish() {
        if (error_) return std::unexpected(*error_);
        for (const auto& [key, value] : json_.items()) {
            if (!asked_.contains(key)) {
                return fail(Error::Kind::invalid, fmt::format("{}{}: no such key", prefix(), key));
            }
        }
        return {};
    }

  private:
    std::string prefix() const { return path_.empty() ? "" : path_ + "."; }

    const Json& json_;
    std::string path_;
    std::set<std::string> asked_;
    std::optional<Error> error_;
};

static Result<> read_health(const Json& json, const std::string& path, HealthCheck& health) {
    ObjectReader reader(json, path);
    reader.text("path", health.path);
    reader.duration("interval_ms", health.interval, 1);
    reader.duration("timeout_ms", health.timeout, 1);
    reader.number("retries", health.retries, 1, 1'000);
    if (Result<> read = reader.finish(); !read) return read;
    const bool printable = std::ranges::all_of(health.path, [](char c) { return c > ' ' && c < 0x7f; });
    if (!health.path.starts_with('/') || !printable) {
        return fail(Error::Kind::invalid,
                    fmt::format("{}.path: expected a path from / on without spaces", path));
    }
    return {};
}

static Result<> read_environment(const Json& json, const std::string& path, Program& program) {
    if (!json.is_object()) return fail(Error::Kind::invalid, path + ": expected an object of strings");
    for (const auto& [key, value] : json.items()) {
        const std::string text = value.is_string() ? value.get<std::string>() : "";
        if (key.empty() || key.find('=') != std::string::npos || key.find('\0') != std::string::npos ||
            !value.is_string() || text.find('\0') != std::string::npos) {
            return fail(Error::Kind::invalid,
                        fmt::format("{}.{}: expected NAME: \"value\", without NUL", path, key));
        }
        program.environment[key] = text;
    }
    return {};
}

// Names become file names under logs/.
static bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](unsigned char c) {
        return c == '_' || c == '-' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    });
}

static Result<> check_program(const Program& program, const std::string& path) {
    if (!is_name(program.name)) {
        return fail(
            Error::Kind::invalid,
            fmt::format("{}.name: expected 1 to 64 letters, digits, _ or -, found '{}'", path, program.name));
    }
    if (std::ranges::find(reserved_names, program.name) != std::end(reserved_names)) {
        return fail(Error::Kind::invalid,
                    fmt::format("{}.name: '{}' is the name of a part of the platform", path, program.name),
                    "give the program another name");
    }
    if (program.command.find_first_not_of(" \t\n") == std::string::npos) {
        return fail(Error::Kind::invalid, fmt::format("{}.command of '{}' is empty", path, program.name));
    }
    if (!program.directory.starts_with('/')) {
        return fail(Error::Kind::invalid, fmt::format("{}.directory: expected an absolute path, found '{}'",
                                                      path, program.directory));
    }
    return {};
}

Result<Program> program_from_json(const Json& json, const std::string& path) {
    Program program;
    ObjectReader reader(json, path);
    reader.text("name", program.name, true);
    std::string kind;
    reader.text("kind", kind, true);
    if (kind == "worker") program.kind = Kind::worker;
    if (!kind.empty() && kind != "worker" && kind != "service")
        reader.wrong("kind", "service or worker", json["kind"]);
    reader.number("instances", program.instances, 0, instances_max);
    reader.text("command", program.command, true);
    reader.text("directory", program.directory, true);
    reader.text("user", program.user);
    reader.array("depends_on", [&](const Json& entry, const std::string& where) -> Result<> {
        if (!entry.is_string()) return fail(Error::Kind::invalid, where + ": expected the name of a program");
        program.depends_on.push_back(entry.get<std::string>());
        return {};
    });
    reader.duration("start_timeout_ms", program.start_timeout, 1);
    reader.duration("startsecs_ms", program.startsecs);
    reader.number("startretries", program.startretries, 0, 1'000'000);
    reader.duration("stop_timeout_ms", program.stop_timeout);
    reader.number("log_bytes_max", program.log_bytes_max, 1, std::numeric_limits<std::int64_t>::max());
    reader.number("log_backups", program.log_backups, 0, 1'000);
    const Json* environment = reader.find("environment", false);
    const Json* health = reader.find("health", false);
    if (Result<> read = reader.finish(); !read) return std::unexpected(read.error());
    if (environment) {
        if (Result<> read = read_environment(*environment, path + ".environment", program); !read) {
            return std::unexpected(read.error());
        }
    }
    if (health) {
        if (Result<> read = read_health(*health, path + ".health", program.health.emplace()); !read) {
            return std::unexpected(read.error());
        }
    }
    if (Result<> checked = check_program(program, path); !checked) return std::unexpected(checked.error());
    return program;
}

static Result<Listener> read_listener(const Json& json, const std::string& path) {
    Listener listener;
    ObjectReader reader(json, path);
    reader.text("name", listener.name, true);
    reader.text("address", listener.address, true);
    reader.text("part", listener.part, true);
    if (Result<> read = reader.finish(); !read) return std::unexpected(read.error());
    if (listener.part != "gateway" && listener.part != "broker") {
        return fail(Error::Kind::invalid,
                    fmt::format("{}.part: expected gateway or broker, found '{}'", path, listener.part));
    }
    if (listener.name.empty() || listener.address.empty()) {
        return fail(Error::Kind::invalid, path + ": name and address must not be empty");
    }
    return listener;
}

// Follows depends_on from `name`; `trail` holds the programs on the way.
static Result<> check_cycle(const std::map<std::string, const Program*>& programs, const std::string& name,
                            std::vector<std::string>& trail, std::set<std::string>& cleared) {
    if (cleared.contains(name)) return {};
    const auto seen = std::ranges::find(trail, name);
    if (seen != trail.end()) {
        std::string circle;
        for (auto it = seen; it != trail.end(); ++it) circle += *it + " -> ";
        return fail(Error::Kind::invalid, "depends_on goes in a circle: " + circle + name,
                    "remove one of these dependencies");
    }
    trail.push_back(name);
    for (const std::string& next : programs.at(name)->depends_on) {
        if (!programs.contains(next)) {
            return fail(Error::Kind::invalid,
                        fmt::format("'{}' depends on '{}', which does not exist", name, next));
        }
        if (Result<> checked = check_cycle(programs, next, trail, cleared); !checked) return checked;
    }
    trail.pop_back();
    cleared.insert(name);
    return {};
}

static Result<> check_together(const Desired& desired) {
    std::map<std::string, const Program*> programs;
    for (const Program& program : desired.programs) {
        if (!programs.emplace(program.name, &program).second) {
            return fail(Error::Kind::invalid, fmt::format("two programs are named '{}'", program.name));
        }
    }
    std::set<std::string> cleared;
    for (const Program& program : desired.programs) {
        std::vector<std::string> trail;
        if (Result<> checked = check_cycle(programs, program.name, trail, cleared); !checked) return checked;
    }
    std::set<std::string> addresses;
    for (const Listener& listener : desired.listeners) {
        if (!addresses.insert(listener.address).second) {
            return fail(Error::Kind::invalid,
                        fmt::format("two listeners have the address {}", listener.address));
        }
    }
    return {};
}

Result<Desired> desired_from_json(const Json& json) {
    Desired desired;
    ObjectReader reader(json, "");
    reader.number("revision", desired.revision, 0, std::numeric_limits<std::uint64_t>::max());
    reader.text("app", desired.app);
    reader.flag("embedded_broker", desired.embedded_broker);
    reader.number("gateway_threads", desired.gateway_threads, 0, 256);
    reader.array("listeners", [&](const Json& entry, const std::string& path) -> Result<> {
        Result<Listener> listener = read_listener(entry, path);
        if (!listener) return std::unexpected(listener.error());
        desired.listeners.push_back(std::move(*listener));
        return {};
    });
    reader.array("programs", [&](const Json& entry, const std::string& path) -> Result<> {
        Result<Program> program = program_from_json(entry, path);
        if (!program) return std::unexpected(program.error());
        desired.programs.push_back(std::move(*program));
        return {};
    });
    if (Result<> read = reader.finish(); !read) return std::unexpected(read.error());
    if (Result<> checked = check_together(desired); !checked) return std::unexpected(checked.error());
    return desired;
}

}  // namespace havn::supervisor
