#include "control/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/prometheus.h"
#include "control/log_follower.h"
#include "control/metrics.h"
#include "control/progress.h"
#include "control/wanted.h"
#include "io/clock.h"
#include "io/loop.h"

namespace havn::control {

static constexpr Duration part_timeout = seconds(3);
static constexpr Duration command_timeout = seconds(10);
static constexpr Duration log_poll_interval = milliseconds(100);
static constexpr std::size_t failure_lines = 15;  // of a failed instance's log, sent along
static constexpr const char* log_folder = "logs";
static constexpr const char* stands_still = "it did not get ready in time";

void Api::add_routes(rpc::Server& server) {
    using Member = Answer (Api::*)(rpc::Request);
    struct Row {
        const char* method;
        const char* pattern;
        Member handler;
    };
    static constexpr Row rows[] = {
        {"GET", "/v1/status", &Api::status}, {"GET", "/v1/processes", &Api::processes},
        {"GET", "/v1/routes", &Api::routes}, {"GET", "/v1/manifest", &Api::manifest},
        {"GET", "/v1/queues", &Api::queues}, {"POST", "/v1/queues/{name}/purge", &Api::purge},
        {"POST", "/v1/plan", &Api::plan},    {"POST", "/v1/apply", &Api::apply},
        {"POST", "/v1/scale", &Api::scale},  {"POST", "/v1/restart", &Api::restart},
        {"POST", "/v1/down", &Api::down},    {"GET", "/v1/logs", &Api::logs},
        {"GET", "/metrics", &Api::metrics},
    };
    for (const Row& row : rows) {
        const Member handler = row.handler;
        server.route(row.method, row.pattern,
                     [this, handler](rpc::Request request) { return (this->*handler)(std::move(request)); });
    }
}

static Error nothing_applied() {
    return {Error::Kind::not_found, "nothing has been applied yet", "type `havn up` in the project's folder"};
}

static Json listening(const supervisor::Desired& desired, std::string_view name) {
    Json addresses = Json::array();
    for (const supervisor::Listener& listener : desired.listeners) {
        if (listener.name == name && !listener.address.starts_with("unix:"))
            addresses.push_back(listener.address);
    }
    return addresses;
}

Api::Answer Api::status(rpc::Request) {
    Json answer{{"version", HAVN_VERSION}, {"revision", 0}, {"processes", supervisor_.processes().size()}};
    if (const std::optional<Revision>& current = applier_.current()) {
        const supervisor::Desired& desired = current->compiled.supervisor;
        answer["app"] = desired.app;
        answer["revision"] = current->number;
        answer["file"] = current->file;
        answer["directory"] = current->directory;
        answer["applied_at"] = current->applied_at;
        answer["gateway"] = listening(desired, "edge");
        answer["amqp"] = listening(desired, "amqp");
    }
    co_return rpc::json(answer);
}

Api::Answer Api::processes(rpc::Request) {
    co_return rpc::json(supervisor_.processes());
}

Api::Answer Api::routes(rpc::Request) {
    Json rows = Json::array();
    if (!applier_.current()) co_return rpc::json(rows);
    std::map<std::string, std::uint32_t> ready;
    for (const Json& row : supervisor_.processes()) {
        if (row.value("state", "") == "ready") ++ready[row.value("name", "")];
    }
    for (const manifest::Route& route : applier_.current()->manifest.routes) {
        Json row{{"route", route.key}, {"methods", route.methods}, {"timeout_ms", route.timeout.count()}};
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
    co_return rpc::json(manifest::to_json(applier_.current()->manifest));
}

// Asks the broker, where there is one of ours.
Task<Result<Json>> Api::ask_broker(std::string method, std::string target) {
    if (applier_.current() && !applier_.current()->compiled.supervisor.embedded_broker) {
        co_return fail(Error::Kind::not_found, "the queues are those of the broker at `[broker] url`",
                       "ask that broker");
    }
    rpc::Client broker = Parts::broker();
    Result<Json> answer =
        co_await broker.request(std::move(method), std::move(target), nullptr, part_timeout);
    co_return answer;
}

Api::Answer Api::queues(rpc::Request) {
    const Result<Json> answer = co_await ask_broker("GET", "/queues");
    co_return rpc::json_or_error(answer);
}

Api::Answer Api::purge(rpc::Request request) {
    const std::string target = "/queues/" + rpc::encode(request.parameters["name"]) + "/purge";
    const Result<Json> answer = co_await ask_broker("POST", target);
    co_return rpc::json_or_error(answer);
}

// A refused manifest, with what there is to say about it as values beside the text.
static rpc::Response refusal(const Error& error, const std::vector<manifest::Diagnostic>& diagnostics) {
    Json body = rpc::to_json(error);
    for (const manifest::Diagnostic& diagnostic : diagnostics) {
        body["error"]["diagnostics"].push_back(manifest::to_json(diagnostic));
    }
    return rpc::json(body, rpc::status_of(error.kind));
}

static Result<WantedRequest> wanted_of(const rpc::Request& request,
                                       std::vector<manifest::Diagnostic>& diagnostics) {
    Result<Json> body = request.json();
    if (!body) return std::unexpected(body.error());
    return read_wanted(*body, &diagnostics);
}

Api::Answer Api::plan(rpc::Request request) {
    std::vector<manifest::Diagnostic> diagnostics;
    const Result<WantedRequest> asked = wanted_of(request, diagnostics);
    if (!asked) co_return refusal(asked.error(), diagnostics);
    co_return rpc::json(manifest::to_json(applier_.plan(asked->wanted.manifest)));
}

Api::Answer Api::apply(rpc::Request request) {
    std::vector<manifest::Diagnostic> diagnostics;
    Result<WantedRequest> asked = wanted_of(request, diagnostics);
    if (!asked) co_return refusal(asked.error(), diagnostics);
    rpc::Response response = co_await apply_wanted(std::move(asked->wanted), asked->force);
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
    rpc::Response response = co_await apply_wanted(std::move(wanted), false);
    co_return response;
}

Api::Answer Api::apply_wanted(Wanted wanted, bool force) {
    Result<Outcome> outcome = co_await applier_.apply(std::move(wanted), force);
    if (!outcome) co_return rpc::error(outcome.error());
    co_await retry_failed(outcome->before);
    co_return follow(std::move(*outcome));
}

// Whoever applies has mostly just corrected what failed: it is not left waiting for its slow retry.
Task<void> Api::retry_failed(Json processes) {
    for (const Json& row : processes) {
        if (row.value("state", "") != "backoff" || row.value("kind", "") == "platform") continue;
        Json which{{"name", row["name"]}, {"instance", row["instance"]}};
        // It may be gone with the change; then there is nothing to retry.
        [[maybe_unused]] Result<> told =
            co_await supervisor_.command("restart", std::move(which), command_timeout);
    }
}

// The answer to an accepted change: its progress, line by line.
rpc::Response Api::follow(Outcome outcome) {
    rpc::Response response{.type = "application/x-ndjson", .body = {}, .stream = {}};
    response.stream = [this, outcome](std::shared_ptr<rpc::Lines> out) {
        return report(std::move(out), outcome);
    };
    return response;
}

Task<void> Api::report(std::shared_ptr<rpc::Lines> out, Outcome outcome) {
    Json accepted{{"event", "accepted"},
                  {"revision", outcome.revision},
                  {"changed", outcome.changed},
                  {"plan", manifest::to_json(outcome.plan)},
                  {"text", manifest::render(outcome.plan)}};
    Result<> sent = co_await out->send(std::move(accepted));
    if (!sent) co_return;
    const supervisor::Desired& wanted = applier_.current()->compiled.supervisor;
    auto progress = std::make_shared<Progress>(wanted, outcome.before, outcome.old_pids, io::now());
    const bool reached = co_await watch(out, progress);
    Json done{{"event", "done"}, {"ok", reached}, {"revision", outcome.revision}};
    if (applier_.current()) done["gateway"] = listening(applier_.current()->compiled.supervisor, "edge");
    sent = co_await out->send(std::move(done));
}

static std::vector<std::string> last_log_lines(const std::string& name, std::uint32_t instance) {
    std::vector<std::string> lines;
    LogFollower logs(log_folder, name, instance);
    for (LogLine& line : logs.last(failure_lines)) lines.push_back(std::move(line.text));
    return lines;
}

static Json failure_json(const Progress::Failure& failure) {
    return {{"event", "failed"},
            {"name", failure.name},
            {"instance", failure.instance},
            {"message", failure.reason},
            {"log", last_log_lines(failure.name, failure.instance)}};
}

// How long the platform may stand still before the wait is given up: no instance needs longer for one step.
static Duration patience(const supervisor::Desired& desired) {
    milliseconds longest{0};
    for (const supervisor::Program& program : desired.programs) {
        longest = std::max({longest, program.start_timeout, program.stop_timeout});
    }
    return longest * 2 + seconds(10);
}

// Sends what happens until all is as wanted (true); until something failed and the rest has settled, nothing
// moves any more or the client left (false).
Task<bool> Api::watch(std::shared_ptr<rpc::Lines> out, std::shared_ptr<Progress> progress) {
    const Duration limit = patience(applier_.current()->compiled.supervisor);
    Time deadline = io::now() + limit;
    while (!out->gone()) {
        const std::uint64_t seen = supervisor_.revision();
        std::vector<Json> events = progress->on(supervisor_.processes(), io::now());
        for (const Progress::Failure& failure : progress->take_failures())
            events.push_back(failure_json(failure));
        if (!events.empty()) deadline = io::now() + limit;
        if (io::now() > deadline) {
            events.push_back({{"event", "failed"}, {"message", stands_still}, {"log", progress->missing()}});
        }
        for (Json& event : events) {
            Result<> sent = co_await out->send(std::move(event));
            if (!sent) co_return false;
        }
        if (io::now() > deadline) co_return false;
        const bool settled = progress->done() || (progress->failed() && progress->settled());
        if (settled && parts_.all_told()) {
            const bool follows = co_await parts_.gateway_follows();
            if (follows) co_return progress->done();
        }
        // Short while only a part has still to be told: that does not show in the table.
        const Duration pause = settled ? milliseconds(2) : milliseconds(500);
        [[maybe_unused]] const bool moved = co_await supervisor_.changed(seen, io::now() + pause);
    }
    co_return false;
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
    const bool valid = body->is_object() && body->contains("name") && (*body)["name"].is_string() &&
                       (!body->contains("instance") || (*body)["instance"].is_null() ||
                        (*body)["instance"].is_number_unsigned());
    if (!valid)
        co_return rpc::error({Error::Kind::invalid, R"(expected {"name": TEXT, "instance": NUMBER})", {}});
    const std::string name = (*body)["name"];
    if (Result<> there = known(name); !there) co_return rpc::error(there.error());
    const Json instance = body->contains("instance") ? (*body)["instance"] : Json();
    Outcome outcome{.plan = {}, .before = supervisor_.processes(), .old_pids = {}};
    outcome.old_pids =
        Progress::pids_of(outcome.before, {name}, instance.is_null() ? 0 : instance.get<int>());
    Result<> accepted =
        co_await supervisor_.command("restart", {{"name", name}, {"instance", instance}}, command_timeout);
    if (!accepted) co_return rpc::error(accepted.error());
    if (!applier_.current()) co_return rpc::json(Json::object());
    outcome.revision = applier_.current()->number;
    co_return follow(std::move(outcome));
}

Api::Answer Api::down(rpc::Request) {
    Result<> accepted = co_await supervisor_.command("stop", Json::object(), command_timeout);
    if (!accepted) co_return rpc::error(accepted.error());
    co_return rpc::json(Json::object());
}

template <class Number>
static Number number_or(const std::string& text, Number otherwise) {
    Number value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && !text.empty() ? value : otherwise;
}

Api::Answer Api::logs(rpc::Request request) {
    rpc::Response response{.type = "application/x-ndjson", .body = {}, .stream = {}};
    response.stream = [this, request](std::shared_ptr<rpc::Lines> out) {
        return tail(std::move(out), request);
    };
    co_return response;
}

Task<void> Api::tail(std::shared_ptr<rpc::Lines> out, rpc::Request request) {
    const std::string follow = request.query_or("follow", "0");
    const bool following = follow != "0" && follow != "false";
    LogFollower logs(log_folder, request.query_or("name", ""),
                     number_or<std::uint32_t>(request.query_or("instance", ""), 0));
    std::vector<LogLine> lines = logs.last(number_or<std::size_t>(request.query_or("lines", ""), 100));
    for (;;) {
        for (LogLine& line : lines) {
            Json row{{"name", line.name}, {"instance", line.instance}, {"line", std::move(line.text)}};
            Result<> sent = co_await out->send(std::move(row));
            if (!sent) co_return;
        }
        if (!following || out->gone()) co_return;
        [[maybe_unused]] const bool slept = co_await io::sleep_for(log_poll_interval);
        lines = logs.poll();
    }
}

Api::Answer Api::metrics(rpc::Request) {
    std::vector<std::string> texts{process_metrics(supervisor_.processes())};
    rpc::Client gateway = Parts::gateway();
    Result<std::string> answer = co_await gateway.text("GET", "/metrics", nullptr, part_timeout);
    if (answer) texts.push_back(std::move(*answer));
    rpc::Client broker = Parts::broker();
    answer = co_await broker.text("GET", "/metrics", nullptr, part_timeout);
    if (answer) texts.push_back(std::move(*answer));
    co_return rpc::text(merge_metrics(texts), std::string(prometheus::content_type));
}

}  // namespace havn::control
