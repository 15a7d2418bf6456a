#include "control/parts.h"

#include <algorithm>

#include "base/log.h"
#include "io/clock.h"

namespace havn::control {

static constexpr Duration answer_timeout = seconds(5);
static constexpr Duration retry_pause = milliseconds(20);
static constexpr Duration refused_pause = seconds(1);  // something else has to change first

void Parts::set(const Compiled& compiled) {
    const auto replace = [this](const char* name, Json config) {
        Part& part = parts_[name];
        part.config = std::move(config);
        ++part.generation;
        part.complained = false;
    };
    replace("gateway", gateway::to_json(compiled.gateway));
    if (compiled.supervisor.embedded_broker) {
        replace("broker", broker::to_json(compiled.broker));
    } else {
        parts_.erase("broker");
    }
    wake();
}

// 0 when it has no process. One that is not ready yet may be waiting for what only we can tell it: a part
// that started before the first configuration was in force finds no file.
int Parts::running_pid(const std::string& name) const {
    for (const Json& row : supervisor_.processes()) {
        const bool it = row.value("name", "") == name && row.value("kind", "") == "platform";
        const std::string state = row.value("state", "");
        const bool listens = state == "starting" || state == "ready";
        if (it && listens && row["pid"].is_number_integer()) return row["pid"].get<int>();
    }
    return 0;
}

bool Parts::knows(const std::string& name, const Part& part) const {
    const int pid = running_pid(name);
    return pid == 0 || (part.told == part.generation && part.told_pid == pid);
}

bool Parts::all_told() const {
    for (const auto& [name, part] : parts_) {
        if (!knows(name, part)) return false;
    }
    return true;
}

Task<bool> Parts::tell(std::string name) {
    const int pid = running_pid(name);
    const std::uint64_t generation = parts_[name].generation;
    rpc::Client client("unix:run/" + name + ".sock");
    Result<Json> told = co_await client.request("PUT", "/config", parts_[name].config, answer_timeout);
    const auto found = parts_.find(name);
    if (found == parts_.end()) co_return true;
    Part& part = found->second;
    if (told) {
        part.told = generation;
        part.told_pid = pid;
        part.refused = false;
    } else if (told.error().kind != Error::Kind::unavailable) {  // else: not listening yet
        part.refused = true;
        if (!std::exchange(part.complained, true))
            log::warning("{} could not be told of its configuration: {}", name, told.error().text());
    }
    co_return told.has_value();
}

bool Parts::told(const std::string& name) const {
    const auto part = parts_.find(name);
    return part == parts_.end() || knows(name, part->second);
}

bool Parts::serves(const std::string& name) const {
    return std::ranges::any_of(supervisor_.processes(), [&name](const Json& row) {
        return row.value("name", "") == name && row.value("kind", "") == "platform" &&
               row.value("state", "") == "ready";
    });
}

Task<bool> Parts::gateway_follows(std::set<std::string> services) {
    rpc::Client gateway = Parts::gateway();
    Result<Json> status = co_await gateway.request("GET", "/status", nullptr, answer_timeout);
    if (!status) co_return false;
    const Json known = status->value("services", Json::object());
    for (const Json& row : supervisor_.processes()) {
        const bool serves = row.value("kind", "") == "service" && row.value("state", "") == "ready";
        if (!serves || !row.contains("port")) continue;
        if (!services.empty() && !services.contains(row.value("name", ""))) continue;
        const std::string endpoint = "127.0.0.1:" + row["port"].dump();
        const Json endpoints = known.value(row.value("name", ""), Json::array());
        if (std::ranges::find(endpoints, Json(endpoint)) == endpoints.end()) co_return false;
    }
    co_return true;
}

Task<void> Parts::keep_told() {
    for (;;) {
        bool failed = false;
        Duration pause = retry_pause;
        for (const char* name : {"gateway", "broker"}) {
            const auto part = parts_.find(name);
            if (part == parts_.end() || knows(name, part->second)) continue;
            const bool told = co_await tell(name);
            failed = failed || !told;
            const auto asked = parts_.find(name);  // what there is may have changed meanwhile
            if (!told && asked != parts_.end() && asked->second.refused) pause = refused_pause;
        }
        if (!failed && !all_told()) continue;  // it changed while the other was being told
        wake_.expires_at(failed ? io::now() + pause : Time::max());
        [[maybe_unused]] auto woken = co_await wake_.async_wait(io::result);
    }
}

}  // namespace havn::control
