#include "supervisor/core/saved_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <set>
#include <stdexcept>

namespace havn::supervisor {

// The year 2500: a time beyond it would not be written as it was read.
static constexpr std::int64_t wall_ms_max = 16'725'225'600'000;

static std::int64_t to_ms(WallTime time) {
    return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
}

static Json to_json(const Unit& unit, std::size_t program) {
    return {{"id", unit.id},
            {"name", unit.name},
            {"instance", unit.instance},
            {"role", name(unit.role)},
            {"program", program},
            {"state", name(unit.state)},
            {"wanted", unit.wanted},
            {"replacing", unit.replacing},
            {"restart_asked", unit.restart_asked},
            {"pid", unit.pid},
            {"start_time", unit.start_time},
            {"cookie", unit.cookie},
            {"port", unit.port},
            {"restarts", unit.restarts},
            {"since_ms", to_ms(unit.since)},
            {"state_since_ms", to_ms(unit.state_since)},
            {"retry_at_ms", to_ms(unit.retry_at)},
            {"error", unit.error},
            {"reason", unit.reason},
            {"exit", unit.exit.text},
            {"exit_code", unit.exit.code ? Json(*unit.exit.code) : Json()},
            {"exit_signal", unit.exit.signal ? Json(*unit.exit.signal) : Json()},
            {"exited_at_ms", to_ms(unit.exited_at)},
            {"uptime_ms", unit.uptime.count()},
            {"had_life", unit.had_life},
            {"ever_ready", unit.ever_ready},
            {"ready_now", unit.ready_now},
            {"slow_retries", unit.policy.slow_retries()},
            {"too_often", unit.policy.too_often()}};
}

std::string saved_text(const Fleet& fleet, const std::string& run, const Json& platform, RowCache& rows) {
    rows.forget_all_but(fleet.units());
    Json programs = Json::array();
    std::string units;
    std::map<const Program*, std::size_t> written;
    for (const auto& [id, unit] : fleet.units()) {
        const auto [entry, is_new] = written.emplace(unit.program.get(), programs.size());
        const std::size_t program = entry->second;
        if (is_new) programs.push_back(to_json(*unit.program));
        if (!units.empty()) units += ',';
        rows.append(units, unit, std::to_string(program), [&] { return to_json(unit, program); });
    }
    return fmt::format(R"({{"endpoints_version":{},"run":{},"platform":{},"programs":{},"units":[{}]}})",
                       fleet.endpoints().version, Json(run).dump(), platform.dump(), programs.dump(), units);
}

static std::optional<Role> role_from_name(std::string_view text) {
    for (const Role role : {Role::platform, Role::service, Role::worker}) {
        if (name(role) == text) return role;
    }
    return std::nullopt;
}

static WallTime time_at(const Json& json, const char* key) {
    return WallTime(milliseconds(integer_at<std::int64_t>(json, key, 0, wall_ms_max)));
}

static std::optional<int> number_at(const Json& json, const char* key) {
    const Json& value = json.at(key);
    return value.is_null() ? std::nullopt : std::optional(integer_at<int>(json, key));
}

// `at` throws on what is missing and `get` on a wrong type; both are caught by the caller.
static Unit unit_from_json(const Json& json, const std::vector<std::shared_ptr<const Program>>& programs) {
    Unit unit;
    unit.id = integer_at<UnitId>(json, "id");
    unit.name = json.at("name").get<std::string>();
    unit.instance = integer_at<std::uint32_t>(json, "instance");
    const std::optional<Role> role = role_from_name(json.at("role").get<std::string>());
    const std::optional<State> state = state_from_name(json.at("state").get<std::string>());
    if (!role || !state) throw std::out_of_range("role or state of unit " + std::to_string(unit.id));
    unit.role = *role;
    unit.state = *state;
    unit.program = programs.at(integer_at<std::size_t>(json, "program"));
    unit.wanted = json.at("wanted").get<bool>();
    unit.replacing = json.at("replacing").get<bool>();
    unit.restart_asked = json.at("restart_asked").get<bool>();
    unit.pid = integer_at<int>(json, "pid", 0);
    unit.start_time = integer_at<std::uint64_t>(json, "start_time");
    unit.cookie = json.at("cookie").get<std::string>();
    unit.port = integer_at<std::uint16_t>(json, "port");
    unit.restarts = integer_at<std::uint32_t>(json, "restarts");
    unit.since = time_at(json, "since_ms");
    unit.state_since = time_at(json, "state_since_ms");
    unit.retry_at = time_at(json, "retry_at_ms");
    unit.error = json.at("error").get<std::string>();
    unit.reason = json.at("reason").get<std::string>();
    unit.exit = {json.at("exit").get<std::string>(), number_at(json, "exit_code"),
                 number_at(json, "exit_signal")};
    unit.exited_at = time_at(json, "exited_at_ms");
    unit.uptime = milliseconds(integer_at<std::int64_t>(json, "uptime_ms", -wall_ms_max, wall_ms_max));
    unit.had_life = json.at("had_life").get<bool>();
    unit.ever_ready = json.at("ever_ready").get<bool>();
    unit.ready_now = json.at("ready_now").get<bool>();
    unit.policy.restore(integer_at<std::uint32_t>(json, "slow_retries"), json.at("too_often").get<bool>());
    return unit;
}

// A part's specification has no command or directory: it is no program a user could have written.
static Result<Program> saved_program(Json json) {
    const bool is_part = json.is_object() && json.value("command", Json("x")) == "";
    if (!is_part) return program_from_json(json);
    const Json name = json["name"];
    json["name"] = "part";
    json["command"] = "part";
    json["directory"] = "/";
    Result<Program> program = program_from_json(json);
    if (!program) return program;
    if (!name.is_string()) return fail(Error::Kind::corrupt, "name: expected a string");
    program->name = name.get<std::string>();
    program->command = program->directory = "";
    return program;
}

Result<SavedState> saved_state_from_json(const Json& json) {
    try {
        SavedState saved;
        saved.endpoints_version = integer_at<std::uint64_t>(json, "endpoints_version");
        saved.run = json.at("run").get<std::string>();
        std::vector<std::shared_ptr<const Program>> programs;
        for (const Json& entry : json.at("programs")) {
            Result<Program> program = saved_program(entry);
            if (!program) {
                return fail(program.error().kind,
                            fmt::format("programs[{}].{}", programs.size(), program.error().message));
            }
            programs.push_back(std::make_shared<const Program>(std::move(*program)));
        }
        std::set<UnitId> ids;
        for (const Json& entry : json.at("units")) {
            saved.units.push_back(unit_from_json(entry, programs));
            if (!ids.insert(saved.units.back().id).second) throw std::out_of_range("unit id given twice");
        }
        return saved;
    } catch (const std::exception& error) {
        return fail(Error::Kind::corrupt, std::string("the saved process table: ") + error.what());
    }
}

std::string spawned_line(const Unit& unit) {
    const Json line{{"id", unit.id},
                    {"pid", unit.pid},
                    {"port", unit.port},
                    {"start_time", unit.start_time},
                    {"cookie", unit.cookie},
                    {"restarts", unit.restarts},
                    {"since_ms", to_ms(unit.since)}};
    return line.dump() + "\n";
}

static void add_spawned(SavedState& saved, const Json& line) {
    const auto found = std::ranges::find(saved.units, integer_at<UnitId>(line, "id"), &Unit::id);
    if (found == saved.units.end()) return;
    Unit unit = *found;
    unit.pid = integer_at<int>(line, "pid", 0);
    unit.port = integer_at<std::uint16_t>(line, "port");
    unit.start_time = integer_at<std::uint64_t>(line, "start_time");
    unit.cookie = line.at("cookie").get<std::string>();
    unit.restarts = integer_at<std::uint32_t>(line, "restarts");
    unit.since = unit.state_since = time_at(line, "since_ms");
    unit.state = State::starting;
    unit.had_life = true;
    unit.ready_now = false;
    *found = std::move(unit);
}

void add_spawned(SavedState& saved, std::string_view lines) {
    for (std::size_t end; (end = lines.find('\n')) != std::string_view::npos; lines.remove_prefix(end + 1)) {
        const Result<Json> line = parse_json(lines.substr(0, end));
        if (!line) continue;
        try {
            add_spawned(saved, *line);
        } catch (const Json::exception&) {
            continue;  // cut short by what ended the supervisor
        }
    }
}

}  // namespace havn::supervisor
