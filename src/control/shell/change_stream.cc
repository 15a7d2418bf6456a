#include "control/shell/change_stream.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "io/clock.h"
#include "io/loop.h"
#include "logs/log_follower.h"

namespace havn::control {
namespace {

constexpr std::size_t failure_lines = 15;          // of a failed instance's log, sent along
constexpr Duration knowing_patience = seconds(5);  // for gateway and broker to take what is new
constexpr Duration sign_of_life = seconds(5);      // the longest silence of a progress

Json outcome_json(const Progress::Outcome& outcome) {
    return {{"name", outcome.name},     {"ok", outcome.ok()},           {"wanted", outcome.wanted},
            {"ready", outcome.ready},   {"replaced", outcome.replaced}, {"former", outcome.former},
            {"causes", outcome.causes}, {"text", outcome.sentence()}};
}

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

Json addresses_of(const supervisor::Desired& desired, std::string_view name) {
    Json addresses = Json::array();
    for (const supervisor::Listener& listener : desired.listeners) {
        if (listener.name == name && !listener.address.starts_with("unix:")) {
            addresses.push_back(listener.address);
        }
    }
    return addresses;
}

rpc::Response ChangeStream::follow(ReconcilerDriver::Accepted accepted, Progress::Asked asked) {
    rpc::Response response{.type = "application/x-ndjson", .body = {}, .stream = {}};
    response.stream = [this, accepted, asked](std::shared_ptr<rpc::Lines> out) {
        return report(std::move(out), accepted, asked);
    };
    return response;
}

Task<void> ChangeStream::report(std::shared_ptr<rpc::Lines> out, ReconcilerDriver::Accepted accepted,
                                Progress::Asked asked) {
    const Outcome& outcome = accepted.outcome;
    Json first{{"event", "accepted"},
               {"revision", outcome.revision},
               {"changed", outcome.changed},
               {"plan", manifest::to_json(outcome.plan)},
               {"text", manifest::render(outcome.plan)}};
    Result<> sent = co_await out->send(std::move(first));
    if (!sent) co_return;
    const supervisor::Desired& wanted = reconciler_.state().compiled()->supervisor;
    auto progress = std::make_shared<Progress>(wanted, asked, accepted.before, io::now());
    const Result<> known = co_await watch(out, progress, asked);
    Json done{{"event", "done"}, {"ok", progress->ok() && known}, {"revision", outcome.revision}};
    std::vector<std::string> causes;
    for (const Progress::Outcome& one : progress->outcomes()) {
        if (!one.ok()) causes.push_back(one.sentence());
        done["outcomes"].push_back(outcome_json(one));
    }
    if (!known) causes.push_back(known.error().text());
    if (!causes.empty()) done["message"] = fmt::format("{}", fmt::join(causes, "\n"));
    const supervisor::Desired& current = reconciler_.state().compiled()->supervisor;
    done["gateway"] = addresses_of(current, "edge");
    done["metrics"] = addresses_of(current, "metrics");
    sent = co_await out->send(std::move(done));
}

Error ChangeStream::too_slow(const std::string& component) const {
    const std::map<std::string, Error> refusals = components_.state().refusals();
    if (const auto refusal = refusals.find(component); refusal != refusals.end()) {
        return {refusal->second.kind,
                fmt::format("{}: refuses its configuration: {}", component, refusal->second.message),
                refusal->second.remedy};
    }
    return {Error::Kind::unavailable,
            fmt::format("the {} has not taken the new configuration within {} s; the former one holds",
                        component, knowing_patience / seconds(1)),
            fmt::format("see `havn ps` and `havn logs {}`; `havn restart {}` starts it anew", component,
                        component)};
}

// Whether the components that what was asked for depends on know of it; but for those whose refusal is an
// outcome.
Task<Result<>> ChangeStream::components_know(std::shared_ptr<Progress> progress, Progress::Asked asked) {
    const bool everything = asked.names.empty();
    const bool gateway_asked = everything || asked.names.contains("gateway");
    const bool broker_asked = everything || asked.names.contains("broker");
    const std::set<std::string> services = progress->services();
    const Components& components = components_.state();
    if (broker_asked && !components.knows("broker") && !progress->refused("broker")) {
        co_return std::unexpected(too_slow("broker"));
    }
    if ((!gateway_asked && services.empty()) || progress->refused("gateway")) co_return Result<>{};
    if (!components.knows("gateway")) co_return std::unexpected(too_slow("gateway"));
    // One that does not serve at all has its own line among the outcomes, if it was asked for.
    if (!components.is_ready("gateway")) co_return Result<>{};
    const bool follows =
        co_await components_.gateway_follows(gateway_asked ? std::set<std::string>{} : services);
    if (!follows) co_return std::unexpected(too_slow("gateway"));
    co_return Result<>{};
}

// Sends what happens until what was asked for is settled and the components know of it, or the client left.
// The error says which component did not take it in time.
Task<Result<>> ChangeStream::watch(std::shared_ptr<rpc::Lines> out, std::shared_ptr<Progress> progress,
                                   Progress::Asked asked) {
    std::optional<Time> settled_at;
    Time quiet_since = io::now();
    while (!out->gone()) {
        const std::uint64_t seen = supervisor_.revision();
        std::vector<Json> events =
            progress->on(supervisor_.processes(), io::now(), components_.state().refusals());
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
            Result<> known = co_await components_know(progress, asked);
            const bool moved = supervisor_.revision() != seen;
            if ((known && !moved) || io::now() - *settled_at >= knowing_patience) co_return known;
            // Only a component has still to be told: that does not show in the table.
            pause = io::now() + milliseconds(2);
        }
        [[maybe_unused]] const bool changed = co_await supervisor_.changed(seen, pause);
    }
    co_return fail(Error::Kind::unavailable, "the client left");
}

}  // namespace havn::control
