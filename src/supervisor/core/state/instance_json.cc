#include "supervisor/core/state/instance_json.h"

#include <fmt/format.h>

#include <stdexcept>

namespace havn::supervisor {

namespace {

// The year 2500: a time beyond it would not be written as it was read.
constexpr std::int64_t wall_ms_max = 16'725'225'600'000;

std::optional<int> number_at(const Json& json, const char* key) {
    const Json& value = json.at(key);
    return value.is_null() ? std::nullopt : std::optional(integer_at<int>(json, key));
}

// A part's specification has no command or directory: it is no program a user could have written.
Result<Program> program_of(Json json) {
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

}  // namespace

std::int64_t wall_ms(WallTime time) {
    return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
}

std::string json_text(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

WallTime wall_time_at(const Json& json, const char* key) {
    return WallTime(milliseconds(integer_at<std::int64_t>(json, key, 0, wall_ms_max)));
}

Started life_from_json(const Json& json, std::uint32_t version) {
    Started life;
    life.pid = integer_at<int>(json, "pid", 0);
    life.start_time = integer_at<std::uint64_t>(json, "start_time");
    if (version == 1) {
        const std::uint16_t port = integer_at<std::uint16_t>(json, "port");
        life.handle = json.at("cookie").get<std::string>();
        if (port != 0) life.address = fmt::format("127.0.0.1:{}", port);
        return life;
    }
    life.handle = json.at("handle").get<std::string>();
    life.address = json.at("address").get<std::string>();
    return life;
}

Json to_json(const Instance& instance, std::uint64_t specification) {
    return {{"id", instance.id},
            {"app", instance.app},
            {"name", instance.name},
            {"instance", instance.number},
            {"role", name(instance.role)},
            {"program", specification},
            {"state", name(instance.state)},
            {"wanted", instance.wanted},
            {"replacing", instance.replacing},
            {"restart_asked", instance.restart_asked},
            {"state_since_ms", wall_ms(instance.state_since)},
            {"handle", instance.life.handle},
            {"pid", instance.life.pid},
            {"start_time", instance.life.start_time},
            {"address", instance.life.address},
            {"restarts", instance.restarts},
            {"since_ms", wall_ms(instance.since)},
            {"retry_at_ms", wall_ms(instance.retry_at)},
            {"error", instance.error},
            {"reason", instance.reason},
            {"exit", instance.exit.text},
            {"exit_code", instance.exit.code ? Json(*instance.exit.code) : Json()},
            {"exit_signal", instance.exit.signal ? Json(*instance.exit.signal) : Json()},
            {"exited_at_ms", wall_ms(instance.exited_at)},
            {"uptime_ms", instance.uptime.count()},
            {"had_life", instance.had_life},
            {"ever_ready", instance.ever_ready},
            {"ready_now", instance.ready_now},
            {"slow_retries", instance.policy.slow_retries()},
            {"too_often", instance.policy.too_often()}};
}

// `at` throws on what is missing and `get` on a wrong type; both are caught by the caller.
Instance instance_from_json(const Json& json, const Specifications& programs, std::uint32_t version) {
    Instance instance;
    instance.id = integer_at<InstanceId>(json, "id");
    if (version > 1) instance.app = json.at("app").get<std::string>();
    instance.name = json.at("name").get<std::string>();
    instance.number = integer_at<std::uint32_t>(json, "instance");
    const std::optional<Role> role = role_from_name(json.at("role").get<std::string>());
    const std::optional<State> state = state_from_name(json.at("state").get<std::string>());
    if (!role || !state) throw std::out_of_range(fmt::format("role or state of instance {}", instance.id));
    instance.role = *role;
    instance.state = *state;
    instance.program = programs.at(integer_at<std::uint64_t>(json, "program"));
    instance.wanted = json.at("wanted").get<bool>();
    instance.replacing = json.at("replacing").get<bool>();
    instance.restart_asked = json.at("restart_asked").get<bool>();
    instance.life = life_from_json(json, version);
    instance.restarts = integer_at<std::uint32_t>(json, "restarts");
    instance.since = wall_time_at(json, "since_ms");
    instance.state_since = wall_time_at(json, "state_since_ms");
    instance.retry_at = wall_time_at(json, "retry_at_ms");
    instance.error = json.at("error").get<std::string>();
    instance.reason = json.at("reason").get<std::string>();
    instance.exit = {json.at("exit").get<std::string>(), number_at(json, "exit_code"),
                     number_at(json, "exit_signal")};
    instance.exited_at = wall_time_at(json, "exited_at_ms");
    instance.uptime = milliseconds(integer_at<std::int64_t>(json, "uptime_ms", -wall_ms_max, wall_ms_max));
    instance.had_life = json.at("had_life").get<bool>();
    instance.ever_ready = json.at("ever_ready").get<bool>();
    instance.ready_now = json.at("ready_now").get<bool>();
    instance.policy.restore(integer_at<std::uint32_t>(json, "slow_retries"),
                            json.at("too_often").get<bool>());
    return instance;
}

std::shared_ptr<const Program> specification_from_json(const Json& json) {
    Result<Program> program = program_of(json);
    if (!program) throw std::out_of_range(program.error().message);
    return std::make_shared<const Program>(std::move(*program));
}

Specifications specifications_from_json(const Json& list, std::uint32_t version) {
    Specifications programs;
    for (const Json& entry : list) {
        const std::size_t place = programs.size();
        try {
            const std::uint64_t id = version == 1 ? place : integer_at<std::uint64_t>(entry, "id");
            programs.emplace(id, specification_from_json(version == 1 ? entry : entry.at("program")));
        } catch (const std::exception& error) {
            throw std::out_of_range(fmt::format("programs[{}].{}", place, error.what()));
        }
    }
    return programs;
}

}  // namespace havn::supervisor
