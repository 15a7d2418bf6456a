#include "supervisor/core/state/table_rows.h"

#include <algorithm>
#include <charconv>

#include "base/wall_time.h"
#include "contract/link.h"
#include "supervisor/core/state/instance_json.h"

namespace havn::supervisor {

namespace {

Json to_row(const std::string& name, const PlatformRows::Row& row) {
    return {{"app", ""},
            {"name", name},
            {"instance", 1},
            {"kind", "platform"},
            {"pid", row.pid},
            {"state", "ready"},
            {"restarts", row.restarts},
            {"since", to_rfc3339(row.since)}};
}

std::optional<std::uint16_t> port_of(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos) return std::nullopt;
    std::uint16_t port = 0;
    const char* const end = address.data() + address.size();
    const std::from_chars_result read = std::from_chars(address.data() + colon + 1, end, port);
    if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
    return port;
}

void add_end(Json& row, const Instance& instance) {
    if (instance.exit.text.empty()) return;
    row["exit"] = instance.exit.text;
    if (instance.exit.code) row["exit_code"] = *instance.exit.code;
    if (instance.exit.signal) row["exit_signal"] = *instance.exit.signal;
    row["exited_at"] = to_rfc3339(instance.exited_at);
    row["uptime_ms"] = instance.uptime.count();
}

Json to_row(const Instance& instance, const std::vector<std::string>& waits_for) {
    Json row{{"id", instance.id},
             {"app", instance.app},
             {"name", instance.name},
             {"instance", instance.number},
             {"kind", name(instance.role)},
             {"pid", instance.life.pid},
             {"state", name(instance.state)},
             {"restarts", instance.restarts},
             {"since", to_rfc3339(instance.since)},
             {"state_since", to_rfc3339(instance.state_since)}};
    if (instance.outdated || !instance.wanted) row["outdated"] = true;
    if (!instance.error.empty()) row["error"] = instance.error;
    if (!instance.reason.empty()) row["reason"] = instance.reason;
    if (instance.life.pid != 0 && !instance.life.address.empty()) {
        row["address"] = instance.life.address;
        if (const std::optional<std::uint16_t> port = port_of(instance.life.address)) row["port"] = *port;
    }
    add_end(row, instance);
    if (!waits_for.empty()) row["waits_for"] = waits_for;
    if (instance.state == State::backoff) row["retry_at"] = to_rfc3339(instance.retry_at);
    if (instance.is_failing()) row["failing"] = true;
    return row;
}

auto shown_order(const Instance* instance) {
    return std::tuple<bool, const std::string&, const std::string&, std::uint32_t, InstanceId>(
        instance->role != Role::platform, instance->app, instance->name, instance->number, instance->id);
}

}  // namespace

bool TableRows::renew(const ProcessTable& table, const Instance& instance) {
    std::vector<std::string> waits_for = table.waits_for(instance);
    const auto [entry, is_new] = rows_.try_emplace(instance.id);
    Row& row = entry->second;
    const InstanceFacts& facts = instance;
    if (!is_new && row.facts == facts && row.waits_for == waits_for) return false;
    ++rows_encoded_;
    row.text = json_text(to_row(instance, waits_for));
    row.facts = facts;
    row.waits_for = std::move(waits_for);
    return true;
}

std::string TableRows::whole(const ProcessTable& table, const PlatformRows& platform,
                             std::uint64_t revision) {
    std::erase_if(rows_, [&table](const auto& row) { return !table.find(row.first); });
    std::vector<const Instance*> instances;
    for (const auto& [id, instance] : table.instances()) instances.push_back(&instance);
    std::ranges::sort(instances, {}, shown_order);
    std::string rows = fmt::format("[{},{}", to_row("keeper", platform.keeper).dump(),
                                   to_row("supervisor", platform.supervisor).dump());
    for (const Instance* instance : instances) {
        renew(table, *instance);
        rows += ',';
        rows += rows_.at(instance->id).text;
    }
    return link::processes_text(revision, true, rows + ']', {});
}

std::optional<std::string> TableRows::changes(const ProcessTable& table, const Touched& touched,
                                              std::uint64_t revision) {
    std::vector<std::uint64_t> gone;
    for (const InstanceId id : touched.gone) {
        if (rows_.erase(id) > 0) gone.push_back(id);
    }
    std::string rows;
    for (const InstanceId id : touched.instances) {
        const Instance* const instance = table.find(id);
        if (!instance || !renew(table, *instance)) continue;
        if (!rows.empty()) rows += ',';
        rows += rows_.at(id).text;
    }
    if (rows.empty() && gone.empty()) return std::nullopt;
    return link::processes_text(revision, false, '[' + rows + ']', gone);
}

}  // namespace havn::supervisor
