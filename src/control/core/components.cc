#include "control/core/components.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace havn::control {
namespace {

constexpr Duration retry_pause = milliseconds(20);
constexpr Duration refused_pause = seconds(1), refused_pause_max = seconds(10);

// Where an instance answers; empty when it does not.
std::string endpoint_of(const Json& row) {
    if (const std::string address = text_of(row, "address"); !address.empty()) return address;
    return row.contains("port") ? "127.0.0.1:" + row["port"].dump() : "";
}

}  // namespace

void Components::set(const Compiled& compiled) {
    const auto replace = [this](const char* name, Json config) {
        Component& component = components_[name];
        component.config = std::move(config);
        ++component.generation;
    };
    replace("gateway", gateway::to_json(compiled.gateway));
    if (compiled.supervisor.embedded_broker) {
        replace("broker", broker::to_json(compiled.broker));
    } else {
        components_.erase("broker");
    }
    try_again();
}

// One that is not ready yet may be waiting for what only we can tell it: a component that started before the
// first configuration was in force finds no file.
void Components::on_table(const Json& rows) {
    processes_.clear();
    for (const Json& row : rows) {
        if (!row.is_object() || text_of(row, "kind") != "platform") continue;
        const std::string state = text_of(row, "state");
        if (state != "starting" && state != "ready") continue;
        Process& process = processes_[text_of(row, "name")];
        process.is_ready = process.is_ready || state == "ready";
        if (process.pid == 0) process.pid = integer_of<int>(row.value("pid", Json()), 0).value_or(0);
    }
    for (auto& [name, component] : components_) {
        if (!component.refusal) continue;
        component.ask_at = std::min(component.ask_at, component.asked_at + refused_pause);
    }
}

void Components::try_again() {
    for (auto& [name, component] : components_) {
        component.ask_at = Time::min();
        component.pause = refused_pause;
    }
}

int Components::pid_of(const std::string& name) const {
    const auto process = processes_.find(name);
    return process == processes_.end() ? 0 : process->second.pid;
}

bool Components::knows(const std::string& name) const {
    const auto component = components_.find(name);
    const int pid = pid_of(name);
    return component == components_.end() || pid == 0 ||
           (component->second.known_generation == component->second.generation &&
            component->second.known_pid == pid);
}

bool Components::is_ready(const std::string& name) const {
    const auto process = processes_.find(name);
    return process != processes_.end() && process->second.is_ready;
}

std::map<std::string, Error> Components::refusals() const {
    std::map<std::string, Error> refusals;
    for (const auto& [name, component] : components_) {
        if (component.refusal && pid_of(name) == component.asked_pid) {
            refusals.emplace(name, *component.refusal);
        }
    }
    return refusals;
}

Time Components::due(const std::string& name) const {
    const auto component = components_.find(name);
    if (component == components_.end() || knows(name)) return Time::max();
    return pid_of(name) == component->second.asked_pid ? component->second.ask_at : Time::min();
}

Time Components::due() const {
    Time earliest = Time::max();
    for (const auto& [name, component] : components_) earliest = std::min(earliest, due(name));
    return earliest;
}

// Whoever waits longest comes first, so that one who always fails keeps nobody waiting.
std::optional<Components::Update> Components::next(Time now) const {
    const Component* first = nullptr;
    std::optional<Update> update;
    for (const auto& [name, component] : components_) {
        if (due(name) > now || (first && first->asked_at <= component.asked_at)) continue;
        first = &component;
        update = Update{name, component.config, component.generation, pid_of(name)};
    }
    return update;
}

Components::Note Components::answered(const Update& update, const Result<>& answer, Time now) {
    const auto found = components_.find(update.name);
    if (found == components_.end() || found->second.generation != update.generation) return {};
    Component& component = found->second;
    component.asked_pid = update.pid;
    component.asked_at = now;
    component.ask_at = now + retry_pause;
    if (answer) {
        component.known_generation = update.generation;
        component.known_pid = update.pid;
        component.refusal.reset();
        component.pause = refused_pause;
        if (std::exchange(component.logged, {}).empty()) return {};
        return {fmt::format("the {} takes its configuration now", update.name)};
    }
    if (answer.error().kind == Error::Kind::unavailable) return {};  // not listening yet
    component.refusal = answer.error();
    component.ask_at = now + component.pause;
    component.pause = std::min(component.pause * 2, refused_pause_max);
    if (std::exchange(component.logged, answer.error().text()) == component.logged) return {};
    return {fmt::format("the {} refuses its configuration: {}", update.name, component.logged), true};
}

bool gateway_follows(const Json& services, const Json& rows, const std::set<std::string>& wanted) {
    for (const Json& row : rows) {
        if (!row.is_object() || text_of(row, "kind") != "service" || text_of(row, "state") != "ready") {
            continue;
        }
        const std::string name = supervisor::shown_name(text_of(row, "app"), text_of(row, "name"));
        const std::string endpoint = endpoint_of(row);
        if (endpoint.empty() || (!wanted.empty() && !wanted.contains(name))) continue;
        const Json endpoints = services.is_object() ? services.value(name, Json::array()) : Json::array();
        if (std::ranges::find(endpoints, Json(endpoint)) == endpoints.end()) return false;
    }
    return true;
}

}  // namespace havn::control
