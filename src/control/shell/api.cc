#include "control/shell/api.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text/percent.h"
#include "base/text/prometheus.h"
#include "control/core/api_requests.h"
#include "control/core/metrics.h"
#include "control/core/progress.h"
#include "control/core/wanted.h"
#include "io/binary.h"
#include "io/clock.h"
#include "io/loop.h"
#include "logs/log_follower.h"

namespace havn::control {

namespace {

constexpr Duration part_answer_timeout = seconds(3);
constexpr Duration command_timeout = seconds(10);
constexpr Duration log_poll_interval = milliseconds(100);
constexpr std::size_t failure_lines = 15;  // of a failed instance's log, sent along
constexpr const char* log_folder = "logs";
constexpr Duration told_patience = seconds(5);  // for gateway and broker to take what is new
constexpr Duration sign_of_life = seconds(5);   // the longest silence of a progress
constexpr Duration metrics_age_max = seconds(1);

}  // namespace

void Api::add_routes(rpc::Server& server) {
    using Member = Answer (Api::*)(rpc::Request);
    struct Row {
        const char* method;
        const char* pattern;
        Member handler;
    };
    static constexpr Row rows[] = {
        {"GET", "/v1/status", &Api::status},   {"GET", "/v1/processes", &Api::processes},
        {"GET", "/v1/routes", &Api::routes},   {"GET", "/v1/manifest", &Api::manifest},
        {"GET", "/v1/gateway", &Api::gateway}, {"GET", "/v1/broker", &Api::broker},
        {"GET", "/v1/queues", &Api::queues},   {"POST", "/v1/queues/{name}/purge", &Api::purge},
        {"POST", "/v1/plan", &Api::plan},      {"POST", "/v1/apply", &Api::apply},
        {"POST", "/v1/scale", &Api::scale},    {"POST", "/v1/restart", &Api::restart},
        {"POST", "/v1/down", &Api::down},      {"GET", "/v1/logs", &Api::logs},
        {"GET", "/metrics", &Api::metrics},
    };
    for (const Row& row : rows) {
        const Member handler = row.handler;
        server.route(row.method, row.pattern,
                     [this, handler](rpc::Request request) { return (this->*handler)(std::move(request)); });
    }
}

namespace {

Error nothing_applied() {
    return {Error::Kind::not_found, "nothing has been applied yet", "type `havn up` in the project's folder"};
}

Json refusal_json(const Error& error) {
    return {{"message", error.message}, {"remedy", error.remedy}};
}

Json listening(const supervisor::Desired& desired, std::string_view name) {
    Json addresses = Json::array();
    for (const supervisor::Listener& listener : desired.listeners) {
        if (listener.name == name && !listener.address.starts_with("unix:")) {
            addresses.push_back(listener.address);
        }
    }
    return addresses;
}

}  // namespace

Api::Answer Api::status(rpc::Request) {
    Json answer{{"version", HAVN_VERSION},
                {"revision", 0},
                {"processes", supervisor_.processes().size()},
                {"refusals", Json::object()}};
    for (const auto& [part, error] : parts_.refusals()) answer["refusals"][part] = refusal_json(error);
    if (const Result<std::string> binary = io::binary_id()) answer["binary"] = *binary;
    if (const std::optional<Revision>& current = applier_.current()) {
        const supervisor::Desired& desired = current->compiled.supervisor;
        answer["app"] = desired.app;
        answer["revision"] = current->number;
        answer["file"] = current->file;
        answer["directory"] = current->directory;
        answer["applied_at"] = current->applied_at;
        answer["gateway"] = listening(desired, "edge");
        answer["amqp"] = listening(desired, "amqp");
        answer["metrics"] = listening(desired, "metrics");
        milliseconds longest{0};
        for (const supervisor::Program& program : desired.programs) {
            longest = std::max(longest, program.stop_timeout);
        }
        answer["stop_timeout_ms"] = longest.count();
    }
    co_return rpc::json(answer);
}

// The supervisor's, and which parts do not take their configuration.
Json Api::process_table() const {
    Json rows = supervisor_.processes();
    const std::map<std::string, Error> refusals = parts_.refusals();
    for (Json& row : rows) {
        if (row.contains("pid") && row["pid"] == 0) row["pid"] = nullptr;  // `kill` with 0 reaches its sender
        if (row.value("kind", "") != "platform" || row.value("outdated", false)) continue;
        const auto refusal = refusals.find(row.value("name", ""));
        if (refusal != refusals.end()) row["refuses"] = refusal_json(refusal->second);
    }
    return rows;
}

Api::Answer Api::processes(rpc::Request) {
    co_return rpc::json(process_table());
}

Api::Answer Api::routes(rpc::Request) {
    Json rows = Json::array();
    if (!applier_.current()) co_return rpc::json(rows);
    std::map<std::string, std::uint32_t> ready;
    for (const Json& row : supervisor_.processes()) {
        if (row.value("state", "") == "ready") ++ready[row.value("name", "")];
    }
    for (const manifest::Route& route : applier_.current()->manifest.routes) {
        Json row{{"route", route.key},
                 {"methods", route.methods},
                 {"timeout_ms", nullptr},
                 {"idle_timeout_ms", route.idle_timeout.count()}};
        if (route.timeout) row["timeout_ms"] = route.timeout->count();
        if (route.queue.empty()) {
            row["service"] = route.service;
            row["ready"] = ready[route.service];
            row["fallback"] = route.fallback.has_value();
        } else {
            row["queue"] = route.queue;
        }
        rows.push_back(std::move(row));
    }
    co_return rpc::json(rows);
}

Api::Answer Api::manifest(rpc::Request) {
    if (!applier_.current()) co_return rpc::error(nothing_applied());
    co_return rpc::json(manifest::redacted_json(applier_.current()->manifest));
}

// Before anything was applied it is ours: it may run already.
QueueEngine& Api::engine() {
    const std::optional<Revision>& current = applier_.current();
    if (current && !current->compiled.supervisor.embedded_broker) return external_engine_;
    return embedded_engine_;
}

// What it is short of, as the gateway sees it.
Api::Answer Api::gateway(rpc::Request) {
    rpc::Client gateway = Parts::gateway();
    const Result<Json> answer = co_await gateway.request("GET", "/status", nullptr, part_answer_timeout);
    co_return rpc::json_or_error(answer);
}

// Held-back publishers and the disk, as the broker sees them.
Api::Answer Api::broker(rpc::Request) {
    const Result<Json> answer = co_await engine().status();
    co_return rpc::json_or_error(answer);
}

Api::Answer Api::queues(rpc::Request) {
    const Result<std::vector<QueueState>> queues = co_await engine().queues();
    if (!queues) co_return rpc::error(queues.error());
    co_return rpc::json(to_json(*queues));
}

Api::Answer Api::purge(rpc::Request request) {
    if (Result<> named = check_name(request.parameters["name"]); !named) co_return rpc::error(named.error());
    const Result<std::uint64_t> purged = co_await engine().purge("/", request.parameters["name"]);
    if (!purged) co_return rpc::error(purged.error());
    co_return rpc::json({{"purged", *purged}});
}

namespace {

// A refused manifest, with what there is to say about it as values beside the text.
rpc::Response refusal(const Error& error, const std::vector<manifest::Diagnostic>& diagnostics) {
    Json body = rpc::to_json(error);
    for (const manifest::Diagnostic& diagnostic : diagnostics) {
        body["error"]["diagnostics"].push_back(manifest::to_json(diagnostic));
    }
    return rpc::json(body, rpc::status_of(error.kind));
}

Result<WantedRequest> wanted_of(const rpc::Request& request, std::vector<manifest::Diagnostic>& diagnostics) {
    Result<Json> body = request.json();
    if (!body) return std::unexpected(body.error());
    return read_wanted(*body, &diagnostics);
}

}  // namespace

Api::Answer Api::plan(rpc::Request request) {
    std::vector<manifest::Diagnostic> diagnostics;
    const Result<WantedRequest> asked = wanted_of(request, diagnostics);
    if (!asked) co_return refusal(asked.error(), diagnostics);
    const manifest::Plan plan = applier_.plan(asked->wanted.manifest);
    Json answer = manifest::to_json(plan);
    answer["text"] = manifest::render(plan);
    co_return rpc::json(answer);
}

Api::Answer Api::apply(rpc::Request request) {
    std::vector<manifest::Diagnostic> diagnostics;
    Result<WantedRequest> asked = wanted_of(request, diagnostics);
    if (!asked) co_return refusal(asked.error(), diagnostics);
    rpc::Response response = co_await apply_wanted(std::move(asked->wanted), asked->force, {});
    co_return response;
}

Api::Answer Api::scale(rpc::Request request) {
    if (!applier_.current()) co_return rpc::error(nothing_applied());
    const Revision& current = *applier_.current();
    Result<Json> counts = request.json();
    if (!counts) co_return rpc::error(counts.error());
    Result<manifest::Manifest> manifest = scaled(current.manifest, *counts);
    if (!manifest) co_return rpc::error(manifest.error());
    Wanted wanted{std::move(*manifest), current.file, current.directory};
    Progress::Asked asked;
    for (const auto& [name, count] : counts->items()) asked.names.insert(name);
    rpc::Response response = co_await apply_wanted(std::move(wanted), false, std::move(asked));
    co_return response;
}

Api::Answer Api::apply_wanted(Wanted wanted, bool force, Progress::Asked asked) {
    Result<Outcome> outcome = co_await applier_.apply(std::move(wanted), force);
    if (!outcome) co_return rpc::error(outcome.error());
    parts_.try_again();
    co_await retry_failed(outcome->before, asked.names);
    co_return follow(std::move(*outcome), std::move(asked));
}

// Whoever asks for a program has mostly just corrected what made it fail: it is not left waiting for its slow
// retry. Not so what the change itself replaced, or has only just failed with. `names` empty: all of them.
Task<void> Api::retry_failed(Json before, std::set<std::string> names) {
    std::set<std::pair<std::string, std::uint32_t>> failed;
    for (const Json& row : before) {
        if (row.value("state", "") == "backoff" && row.value("kind", "") != "platform") {
            failed.emplace(row.value("name", ""), row.value("instance", 1u));
        }
    }
    const Json rows = supervisor_.processes();
    for (const Json& row : rows) {
        const std::pair key(row.value("name", ""), row.value("instance", 1u));
        if (row.value("state", "") != "backoff" || row.value("outdated", false) || !failed.contains(key)) {
            continue;
        }
        if (!names.empty() && !names.contains(key.first)) continue;
        Json which{{"name", key.first}, {"instance", key.second}};
        // It may be gone with the change; then there is nothing to retry.
        [[maybe_unused]] Result<> told =
            co_await supervisor_.command("restart", std::move(which), command_timeout);
    }
}

// The answer to an accepted change: its progress, line by line.
rpc::Response Api::follow(Outcome outcome, Progress::Asked asked) {
    rpc::Response response{.type = "application/x-ndjson", .body = {}, .stream = {}};
    response.stream = [this, outcome, asked](std::shared_ptr<rpc::Lines> out) {
        return report(std::move(out), outcome, asked);
    };
    return response;
}

namespace {

Json outcome_json(const Progress::Outcome& outcome) {
    return {{"name", outcome.name},     {"ok", outcome.ok()},           {"wanted", outcome.wanted},
            {"ready", outcome.ready},   {"replaced", outcome.replaced}, {"former", outcome.former},
            {"causes", outcome.causes}, {"text", outcome.sentence()}};
}

}  // namespace

Task<void> Api::report(std::shared_ptr<rpc::Lines> out, Outcome outcome, Progress::Asked asked) {
    Json accepted{{"event", "accepted"},
                  {"revision", outcome.revision},
                  {"changed", outcome.changed},
                  {"plan", manifest::to_json(outcome.plan)},
                  {"text", manifest::render(outcome.plan)}};
    Result<> sent = co_await out->send(std::move(accepted));
    if (!sent) co_return;
    const supervisor::Desired& wanted = applier_.current()->compiled.supervisor;
    auto progress = std::make_shared<Progress>(wanted, asked, outcome.before, io::now());
    const Result<> told = co_await watch(out, progress, asked);
    Json done{{"event", "done"}, {"ok", progress->ok() && told}, {"revision", outcome.revision}};
    std::vector<std::string> causes;
    for (const Progress::Outcome& one : progress->outcomes()) {
        if (!one.ok()) causes.push_back(one.sentence());
        done["outcomes"].push_back(outcome_json(one));
    }
    if (!told) causes.push_back(told.error().text());
    if (!causes.empty()) done["message"] = fmt::format("{}", fmt::join(causes, "\n"));
    if (applier_.current()) {
        const supervisor::Desired& current = applier_.current()->compiled.supervisor;
        done["gateway"] = listening(current, "edge");
        done["metrics"] = listening(current, "metrics");
    }
    sent = co_await out->send(std::move(done));
}

namespace {

std::vector<std::string> last_log_lines(const std::string& name, std::uint32_t instance) {
    std::vector<std::string> lines;
    logs::LogFollower follower(log_folder, name, instance);
    for (logs::LogLine& line : follower.last(failure_lines)) lines.push_back(std::move(line.entry.text));
    return lines;
}

Json failure_json(const Progress::Failure& failure) {
    return {{"event", "failed"},
            {"name", failure.name},
            {"instance", failure.instance},
            {"message", failure.reason},
            {"log", last_log_lines(failure.name, failure.instance)}};
}

}  // namespace

// Whether the parts that what was asked for depends on know of it; but for those whose refusal is an outcome.
Task<Result<>> Api::parts_told(std::shared_ptr<Progress> progress, Progress::Asked asked) {
    const bool everything = asked.names.empty();
    const bool gateway_asked = everything || asked.names.contains("gateway");
    const bool broker_asked = everything || asked.names.contains("broker");
    const std::set<std::string> services = progress->services();
    const std::map<std::string, Error> refusals = parts_.refusals();
    const auto slow = [&refusals](const std::string& part) {
        if (const auto refusal = refusals.find(part); refusal != refusals.end()) {
            return Error{refusal->second.kind,
                         fmt::format("{}: refuses its configuration: {}", part, refusal->second.message),
                         refusal->second.remedy};
        }
        return Error{
            Error::Kind::unavailable,
            fmt::format("the {} has not taken the new configuration within {} s; the former one holds", part,
                        told_patience / seconds(1)),
            fmt::format("see `havn ps` and `havn logs {}`; `havn restart {}` starts it anew", part, part)};
    };
    if (broker_asked && !parts_.told("broker") && !progress->refused("broker")) {
        co_return std::unexpected(slow("broker"));
    }
    if ((!gateway_asked && services.empty()) || progress->refused("gateway")) co_return Result<>{};
    if (!parts_.told("gateway")) co_return std::unexpected(slow("gateway"));
    // One that does not serve at all has its own line among the outcomes, if it was asked for.
    if (!parts_.serves("gateway")) co_return Result<>{};
    const bool follows = co_await parts_.gateway_follows(gateway_asked ? std::set<std::string>{} : services);
    if (!follows) co_return std::unexpected(slow("gateway"));
    co_return Result<>{};
}

// Sends what happens until what was asked for is settled and the parts know of it, or the client left. The
// error says which part did not take it in time.
Task<Result<>> Api::watch(std::shared_ptr<rpc::Lines> out, std::shared_ptr<Progress> progress,
                          Progress::Asked asked) {
    std::optional<Time> settled_at;
    Time quiet_since = io::now();
    while (!out->gone()) {
        const std::uint64_t seen = supervisor_.revision();
        std::vector<Json> events = progress->on(supervisor_.processes(), io::now(), parts_.refusals());
        for (const Progress::Failure& failure : progress->take_failures()) {
            events.push_back(failure_json(failure));
        }
        if (events.empty() && io::now() - quiet_since >= sign_of_life) {
            events.push_back({{"event", "waiting"}});
        }
        if (!events.empty()) quiet_since = io::now();
        for (Json& event : events) {
            Result<> sent = co_await out->send(std::move(event));
            if (!sent) co_return sent;
        }
        Time pause = std::min(progress->look_again_at(), quiet_since + sign_of_life);
        if (!progress->settled()) settled_at.reset();
        if (progress->settled() && supervisor_.revision() == seen) {
            if (!settled_at) settled_at = io::now();
            Result<> told = co_await parts_told(progress, asked);
            const bool moved = supervisor_.revision() != seen;
            if ((told && !moved) || io::now() - *settled_at >= told_patience) co_return told;
            // Only a part has still to be told: that does not show in the table.
            pause = io::now() + milliseconds(2);
        }
        [[maybe_unused]] const bool changed = co_await supervisor_.changed(seen, pause);
    }
    co_return fail(Error::Kind::unavailable, "the client left");
}

// Whether a process of that name is in the supervisor's table.
Result<> Api::known(const std::string& name) const {
    std::string names;
    for (const Json& row : supervisor_.processes()) {
        if (row.value("name", "") == name) return {};
        const std::string other = row.value("name", "");
        if (names.find(other) == std::string::npos) names += (names.empty() ? "" : ", ") + other;
    }
    return fail(Error::Kind::not_found, fmt::format("no process '{}'", name), "there are: " + names);
}

Api::Answer Api::restart(rpc::Request request) {
    const Result<Json> body = request.json();
    if (!body) co_return rpc::error(body.error());
    const Result<RestartRequest> asked = read_restart(*body);
    if (!asked) co_return rpc::error(asked.error());
    if (Result<> there = known(asked->name); !there) co_return rpc::error(there.error());
    Outcome outcome{.plan = {}, .before = supervisor_.processes()};
    const Json instance = asked->instance == 0 ? Json() : Json(asked->instance);
    Result<> accepted = co_await supervisor_.command(
        "restart", {{"name", asked->name}, {"instance", instance}}, command_timeout);
    if (!accepted) co_return rpc::error(accepted.error());
    if (!applier_.current()) co_return rpc::json(Json::object());
    outcome.revision = applier_.current()->number;
    co_return follow(std::move(outcome), {.names = {asked->name}, .instance = asked->instance});
}

Api::Answer Api::down(rpc::Request) {
    Result<> accepted = co_await supervisor_.command("stop", Json::object(), command_timeout);
    if (!accepted) co_return rpc::error(accepted.error());
    co_return rpc::json(Json::object());
}

Api::Answer Api::logs(rpc::Request request) {
    const Result<LogsRequest> asked = read_logs(request.query);
    if (!asked) co_return rpc::error(asked.error());
    rpc::Response response{.type = "application/x-ndjson", .body = {}, .stream = {}};
    response.stream = [this, wanted = *asked](std::shared_ptr<rpc::Lines> out) {
        return tail(std::move(out), wanted);
    };
    co_return response;
}

Task<void> Api::tail(std::shared_ptr<rpc::Lines> out, LogsRequest asked) {
    logs::LogFollower follower(log_folder, asked.name, asked.instance);
    std::vector<logs::LogLine> lines = follower.last(asked.lines);
    for (;;) {
        for (logs::LogLine& line : lines) {
            Result<> sent = co_await out->send(to_json(line));
            if (!sent) co_return;
        }
        if (!asked.follow || out->gone()) co_return;
        [[maybe_unused]] const bool slept = co_await io::sleep_for(log_poll_interval);
        lines = follower.poll();
    }
}

Task<std::string> Api::collect_metrics() {
    std::vector<std::string> texts{process_metrics(process_table())};
    rpc::Client gateway = Parts::gateway();
    Result<std::string> answer = co_await gateway.text("GET", "/metrics", nullptr, part_answer_timeout);
    if (answer) texts.push_back(std::move(*answer));
    answer = co_await engine().metrics();
    if (answer) texts.push_back(std::move(*answer));
    co_return merge_metrics(texts);
}

Api::Answer Api::metrics(rpc::Request) {
    std::string collected = co_await collect_metrics();
    co_return rpc::text(std::move(collected), std::string(prometheus::content_type));
}

Api::Answer Api::recent_metrics(rpc::Request) {
    if (!recent_since_ || io::now() - *recent_since_ >= metrics_age_max) {
        recent_metrics_ = co_await collect_metrics();
        recent_since_ = io::now();
    }
    co_return rpc::text(recent_metrics_, std::string(prometheus::content_type));
}

}  // namespace havn::control
