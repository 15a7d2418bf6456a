#include "supervisor/core/state/platform_rows.h"

#include "supervisor/core/state/instance_json.h"

namespace havn::supervisor {

namespace {

Json platform_row_to_json(const PlatformRows::Row& row) {
    return {{"pid", row.pid}, {"restarts", row.restarts}, {"since_ms", wall_ms(row.since)}};
}

PlatformRows::Row row_from_json(const Json& json, const char* name) {
    const auto found = json.is_object() ? json.find(name) : json.end();
    if (found == json.end() || !found->is_object()) return {};
    try {
        return {integer_at<int>(*found, "pid", 0), integer_at<std::uint32_t>(*found, "restarts"),
                WallTime(milliseconds(integer_at<std::int64_t>(*found, "since_ms")))};
    } catch (const Json::exception&) {
        return {};
    }
}

}  // namespace

PlatformRows PlatformRows::next(int keeper_pid, int supervisor_pid, WallTime now) const {
    PlatformRows rows{{keeper_pid, keeper.restarts + 1, now}, {supervisor_pid, supervisor.restarts + 1, now}};
    if (keeper.pid == keeper_pid) rows.keeper = keeper;
    return rows;
}

Json to_json(const PlatformRows& rows) {
    return {{"keeper", platform_row_to_json(rows.keeper)},
            {"supervisor", platform_row_to_json(rows.supervisor)}};
}

PlatformRows platform_rows_from_json(const Json& json) {
    return {row_from_json(json, "keeper"), row_from_json(json, "supervisor")};
}

}  // namespace havn::supervisor
