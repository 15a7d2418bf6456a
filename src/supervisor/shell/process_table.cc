#include "supervisor/shell/process_table.h"

#include "base/wall_time.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

namespace havn::supervisor {

static std::int64_t to_ms(WallTime time) {
    return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
}

static Json to_json(const PlatformRows::Row& row) {
    return {{"pid", row.pid}, {"restarts", row.restarts}, {"since_ms", to_ms(row.since)}};
}

Json to_json(const PlatformRows& rows) {
    return {{"keeper", to_json(rows.keeper)}, {"supervisor", to_json(rows.supervisor)}};
}

static PlatformRows::Row row_from_json(const Json& json, const char* name) {
    const auto found = json.is_object() ? json.find(name) : json.end();
    if (found == json.end() || !found->is_object()) return {};
    try {
        return {integer_at<int>(*found, "pid", 0), integer_at<std::uint32_t>(*found, "restarts"),
                WallTime(milliseconds(integer_at<std::int64_t>(*found, "since_ms")))};
    } catch (const Json::exception&) {
        return {};
    }
}

PlatformRows platform_rows_from_json(const Json& json) {
    return {row_from_json(json, "keeper"), row_from_json(json, "supervisor")};
}

static Json to_row(const std::string& name, const PlatformRows::Row& row) {
    return {{"name", name},
            {"instance", 1},
            {"kind", "platform"},
            {"pid", row.pid},
            {"state", "ready"},
            {"restarts", row.restarts},
            {"since", to_rfc3339(row.since)}};
}

static Json to_row(const Unit& unit, const std::vector<std::string>& waits_for) {
    Json row{{"name", unit.name},
             {"instance", unit.instance},
             {"kind", name(unit.role)},
             {"pid", unit.pid},
             {"state", name(unit.state)},
             {"restarts", unit.restarts},
             {"since", to_rfc3339(unit.since)},
             {"state_since", to_rfc3339(unit.state_since)}};
    if (unit.outdated || !unit.wanted) row["outdated"] = true;
    if (!unit.error.empty()) row["error"] = unit.error;
    if (!unit.reason.empty()) row["reason"] = unit.reason;
    if (unit.port != 0 && unit.pid != 0) row["port"] = unit.port;
    if (!unit.exit.text.empty()) {
        row["exit"] = unit.exit.text;
        if (unit.exit.code) row["exit_code"] = *unit.exit.code;
        if (unit.exit.signal) row["exit_signal"] = *unit.exit.signal;
        row["exited_at"] = to_rfc3339(unit.exited_at);
        row["uptime_ms"] = unit.uptime.count();
    }
    if (!waits_for.empty()) row["waits_for"] = waits_for;
    if (unit.state == State::backoff) row["retry_at"] = to_rfc3339(unit.retry_at);
    if (unit.is_failing()) row["failing"] = true;
    return row;
}

std::string process_table(const Fleet& fleet, const PlatformRows& rows, RowCache& cache) {
    cache.forget_all_but(fleet.units());
    std::vector<const Unit*> units;
    for (const auto& [id, unit] : fleet.units()) units.push_back(&unit);
    std::ranges::sort(units, {}, [](const Unit* unit) {
        return std::tuple<bool, const std::string&, std::uint32_t, UnitId>(
            unit->role != Role::platform, unit->name, unit->instance, unit->id);
    });
    std::string table = fmt::format("[{},{}", to_row("keeper", rows.keeper).dump(),
                                    to_row("supervisor", rows.supervisor).dump());
    for (const Unit* unit : units) {
        const std::vector<std::string> names = fleet.waits_for(*unit);
        table += ',';
        cache.append(table, *unit, fmt::format("{}", fmt::join(names, ",")),
                     [&] { return to_row(*unit, names); });
    }
    return table + ']';
}

}  // namespace havn::supervisor
