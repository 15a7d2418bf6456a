#include "control/shell/api.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text/percent.h"
#include "base/text/prometheus.h"
#include "control/core/api_requests.h"
#include "control/core/metrics.h"
#include "control/core/submission.h"
#include "io/binary.h"
#include "io/clock.h"
#include "io/loop.h"
#include "logs/log_follower.h"

namespace havn::control {

namespace {

constexpr Duration part_answer_timeout = seconds(3);
constexpr Duration command_timeout = seconds(10);
constexpr Duration log_poll_interval = milliseconds(100);
constexpr const char* only_app = "";  // a project platform has one application, without a key
constexpr Duration metrics_age_max = seconds(1);

// The shown name of a row's program.
std::string name_of(const Json& row) {
    return supervisor::shown_name(text_of(row, "app"), text_of(row, "name"));
}

}  // namespace

void Api::add_routes(rpc::Server& server) {
    using Member = Answer (Api::*)(rpc::Request);
    struct Row {
        const char* method;
        const char* pattern;
        Member handler;
    };
    static constexpr Row rows[] = {
        {"GET", "/v1/status", &Api::status},    {"GET", "/v1/processes", &Api::processes},
        {"GET", "/v1/routes", &Api::routes},    {"GET", "/v1/manifest", &Api::manifest},
        {"GET", "/v1/gateway", &Api::gateway},  {"GET", "/v1/broker", &Api::broker},
        {"GET", "/v1/queues", &Api::queues},    {"POST", "/v1/queues/{name}/purge", &Api::purge},
        {"POST", "/v1/plan", &Api::plan},       {"POST", "/v1/apply", &Api::apply},
        {"GET", "/v1/scale", &Api::scaled},     {"POST", "/v1/scale", &Api::scale},
        {"POST", "/v1/restart", &Api::restart}, {"POST", "/v1/down", &Api::down},
        {"GET", "/v1/logs", &Api::logs},        {"GET", "/metrics", &Api::metrics},
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

}  // namespace

Api::Answer Api::status(rpc::Request) {
    Json answer{{"version", HAVN_VERSION},
                {"revision", 0},
                {"processes", supervisor_.processes().size()},
                {"refusals", Json::object()}};
    for (const auto& [part, error] : components_.state().refusals()) {
        answer["refusals"][part] = refusal_json(error);
    }
    if (const Result<std::string> binary = io::binary_id()) answer["binary"] = *binary;
    const Revision* current = reconciler_.state().current(only_app);
    if (current && reconciler_.state().compiled()) {
        const supervisor::Desired& desired = reconciler_.state().compiled()->supervisor;
        answer["app"] = desired.app;
        answer["revision"] = current->number;
        answer["file"] = current->source.file;
        answer["directory"] = current->source.directory;
        answer["applied_at"] = current->applied_at;
        answer["gateway"] = addresses_of(desired, "edge");
        answer["amqp"] = addresses_of(desired, "amqp");
        answer["metrics"] = addresses_of(desired, "metrics");
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
    const std::map<std::string, Error> refusals = components_.state().refusals();
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
    const Revision* current = reconciler_.state().current(only_app);
    if (!current) co_return rpc::json(rows);
    std::map<std::string, std::uint32_t> ready;
    for (const Json& row : supervisor_.processes()) {
        if (row.value("state", "") == "ready") ++ready[name_of(row)];
    }
    for (const manifest::Route& route : current->source.manifest.routes) {
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
    const Revision* current = reconciler_.state().current(only_app);
    if (!current) co_return rpc::error(nothing_applied());
    co_return rpc::json(manifest::redacted_json(current->source.manifest));
}

// Before anything was applied it is ours: it may run already.
QueueEngine& Api::engine() {
    const std::optional<Compiled>& compiled = reconciler_.state().compiled();
    if (compiled && !compiled->supervisor.embedded_broker) return engines_.external;
    return engines_.embedded;
}

// What it is short of, as the gateway sees it.
Api::Answer Api::gateway(rpc::Request) {
    rpc::Client gateway = ComponentLink::gateway();
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

Result<SubmitRequest> submission_of(const rpc::Request& request,
                                    std::vector<manifest::Diagnostic>& diagnostics) {
    Result<Json> body = request.json();
    if (!body) return std::unexpected(body.error());
    return read_submission(*body, &diagnostics);
}

// What runs in other numbers than the manifest says, for people.
std::string scale_notes(const std::vector<ScaleTable::Scaled>& scaled) {
    std::string text;
    for (const ScaleTable::Scaled& one : scaled) {
        text += fmt::format("note: {}; `havn scale {}=default` ends that\n", sentence(one), one.name);
    }
    return text;
}

Json scaled_json(const std::vector<ScaleTable::Scaled>& scaled) {
    Json rows = Json::array();
    for (const ScaleTable::Scaled& one : scaled) rows.push_back(to_json(one));
    return rows;
}

}  // namespace

Api::Answer Api::plan(rpc::Request request) {
    std::vector<manifest::Diagnostic> diagnostics;
    const Result<SubmitRequest> asked = submission_of(request, diagnostics);
    if (!asked) co_return refusal(asked.error(), diagnostics);
    const Submission& wanted = asked->submission;
    const manifest::Plan plan = reconciler_.state().plan(wanted.app, wanted.manifest);
    const std::vector<ScaleTable::Scaled> scaled =
        reconciler_.state().scaled_under(wanted.app, wanted.manifest);
    Json answer = manifest::to_json(plan);
    answer["scaled"] = scaled_json(scaled);
    answer["text"] = manifest::render(plan) + scale_notes(scaled);
    co_return rpc::json(answer);
}

Api::Answer Api::apply(rpc::Request request) {
    std::vector<manifest::Diagnostic> diagnostics;
    Result<SubmitRequest> asked = submission_of(request, diagnostics);
    if (!asked) co_return refusal(asked.error(), diagnostics);
    rpc::Response response = co_await make(ApplyChange{std::move(asked->submission), asked->force}, {});
    co_return response;
}

Api::Answer Api::scaled(rpc::Request) {
    co_return rpc::json(scaled_json(reconciler_.state().scaled(only_app)));
}

Api::Answer Api::scale(rpc::Request request) {
    const Result<Json> body = request.json();
    if (!body) co_return rpc::error(body.error());
    Result<Counts> counts = counts_from_json(*body);
    if (!counts) co_return rpc::error(counts.error());
    Progress::Asked asked;
    for (const auto& [name, count] : *counts) asked.names.insert(name);
    rpc::Response response = co_await make(ScaleChange{only_app, std::move(*counts)}, std::move(asked));
    co_return response;
}

// The change, and its progress as the answer.
Api::Answer Api::make(Change change, Progress::Asked asked) {
    Result<ReconcilerDriver::Accepted> accepted = co_await reconciler_.change(std::move(change));
    if (!accepted) co_return rpc::error(accepted.error());
    components_.try_again();
    co_await retry_failed(accepted->before, asked.names);
    co_return stream_.follow(std::move(*accepted), std::move(asked));
}

// Whoever asks for a program has mostly just corrected what made it fail: it is not left waiting for its slow
// retry. Not so what the change itself replaced, or has only just failed with. `names` empty: all of them.
Task<void> Api::retry_failed(Json before, std::set<std::string> names) {
    std::set<std::pair<std::string, std::uint32_t>> failed;
    for (const Json& row : before) {
        if (row.value("state", "") == "backoff" && row.value("kind", "") != "platform") {
            failed.emplace(name_of(row), row.value("instance", 1u));
        }
    }
    const Json rows = supervisor_.processes();
    for (const Json& row : rows) {
        const std::pair key(name_of(row), row.value("instance", 1u));
        if (row.value("state", "") != "backoff" || row.value("outdated", false) || !failed.contains(key)) {
            continue;
        }
        if (!names.empty() && !names.contains(key.first)) continue;
        Json which{{"app", text_of(row, "app")}, {"name", text_of(row, "name")}, {"instance", key.second}};
        // It may be gone with the change; then there is nothing to retry.
        [[maybe_unused]] Result<> told =
            co_await supervisor_.command("restart", std::move(which), command_timeout);
    }
}

// Whether a process of that name is in the supervisor's table.
Result<> Api::known(const std::string& name) const {
    std::string names;
    for (const Json& row : supervisor_.processes()) {
        const std::string other = name_of(row);
        if (other == name) return {};
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
    ReconcilerDriver::Accepted restarted{.outcome = {}, .before = supervisor_.processes()};
    const Json instance = asked->instance == 0 ? Json() : Json(asked->instance);
    Result<> accepted = co_await supervisor_.command(
        "restart", {{"app", only_app}, {"name", asked->name}, {"instance", instance}}, command_timeout);
    if (!accepted) co_return rpc::error(accepted.error());
    const Revision* current = reconciler_.state().current(only_app);
    if (!current) co_return rpc::json(Json::object());
    restarted.outcome.revision = current->number;
    co_return stream_.follow(std::move(restarted), {.names = {asked->name}, .instance = asked->instance});
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
    rpc::Client gateway = ComponentLink::gateway();
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
