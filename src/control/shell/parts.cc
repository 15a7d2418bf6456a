#include "control/shell/parts.h"

#include <algorithm>

#include "base/log.h"
#include "io/clock.h"

namespace havn::control {

namespace {

constexpr Duration answer_timeout = seconds(5);
constexpr Duration retry_pause = milliseconds(20);
constexpr Duration refused_pause = seconds(1), refused_pause_max = seconds(10);
constexpr const char* names[] = {"gateway", "broker"};

}  // namespace

void Parts::set(const Compiled& compiled) {
    const auto replace = [this](const char* name, Json config) {
        Part& part = parts_[name];
        part.config = std::move(config);
        ++part.generation;
    };
    replace("gateway", gateway::to_json(compiled.gateway));
    if (compiled.supervisor.embedded_broker) {
        replace("broker", broker::to_json(compiled.broker));
    } else {
        parts_.erase("broker");
    }
    try_again();
}

void Parts::wake() {
    for (auto& [name, part] : parts_) {
        if (part.refusal) part.ask_at = std::min(part.ask_at, part.asked_at + refused_pause);
    }
    wake_.cancel();
}

void Parts::try_again() {
    for (auto& [name, part] : parts_) {
        part.ask_at = Time::min();
        part.pause = refused_pause;
    }
    wake_.cancel();
}

// 0 when it has no process. One that is not ready yet may be waiting for what only we can tell it: a part
// that started before the first configuration was in force finds no file.
int Parts::running_pid(const std::string& name) const {
    for (const Json& row : supervisor_.processes()) {
        const bool it = row.value("name", "") == name && row.value("kind", "") == "platform";
        const std::string state = row.value("state", "");
        const bool listens = state == "starting" || state == "ready";
        if (it && listens) return integer_of<int>(row.value("pid", Json()), 0).value_or(0);
    }
    return 0;
}

bool Parts::knows(const std::string& name, const Part& part) const {
    const int pid = running_pid(name);
    return pid == 0 || (part.told == part.generation && part.told_pid == pid);
}

std::map<std::string, Error> Parts::refusals() const {
    std::map<std::string, Error> refusals;
    for (const auto& [name, part] : parts_) {
        if (part.refusal && running_pid(name) == part.asked_pid) refusals.emplace(name, *part.refusal);
    }
    return refusals;
}

// When the part has to be told next: never, as long as it knows.
Time Parts::due(const std::string& name) const {
    const auto part = parts_.find(name);
    if (part == parts_.end() || knows(name, part->second)) return Time::max();
    return running_pid(name) == part->second.asked_pid ? part->second.ask_at : Time::min();
}

Task<void> Parts::tell(std::string name) {
    const int pid = running_pid(name);
    const std::uint64_t generation = parts_[name].generation;
    rpc::Client client("unix:run/" + name + ".sock");
    Result<Json> told = co_await client.request("PUT", "/config", parts_[name].config, answer_timeout);
    const auto found = parts_.find(name);
    if (found == parts_.end() || found->second.generation != generation) co_return;
    found->second.asked_pid = pid;
    if (told) {
        found->second.told = generation;
        found->second.told_pid = pid;
    }
    note_answer(name, found->second, told);
}

void Parts::note_answer(const std::string& name, Part& part, const Result<Json>& answer) {
    part.asked_at = io::now();
    part.ask_at = part.asked_at + retry_pause;
    if (answer) {
        part.refusal.reset();
        part.pause = refused_pause;
        if (!std::exchange(part.logged, {}).empty()) log::info("the {} takes its configuration now", name);
        return;
    }
    if (answer.error().kind == Error::Kind::unavailable) return;  // not listening yet
    part.refusal = answer.error();
    part.ask_at = part.asked_at + part.pause;
    part.pause = std::min(part.pause * 2, refused_pause_max);
    if (std::exchange(part.logged, answer.error().text()) == part.logged) return;
    log::warning("the {} refuses its configuration: {}", name, part.logged);
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
        for (const char* name : names) {
            if (due(name) <= io::now()) co_await tell(name);
        }
        Time next = Time::max();  // what there is may have changed while another was being told
        for (const char* name : names) next = std::min(next, due(name));
        if (next <= io::now()) continue;
        wake_.expires_at(next);
        [[maybe_unused]] auto woken = co_await wake_.async_wait(io::result);
    }
}

}  // namespace havn::control
