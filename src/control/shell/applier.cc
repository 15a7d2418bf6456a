#include "control/shell/applier.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <random>

#include "base/log.h"
#include "base/wall_time.h"
#include "io/clock.h"
#include "io/net.h"

namespace havn::control {

namespace {

constexpr Duration accept_timeout = seconds(30);
constexpr int attempts_max = 5;  // to find loopback ports that are still free when the supervisor opens them

}  // namespace

Json origin_of(const Revision& revision) {
    return {{"directory", revision.directory}, {"file", revision.file}};
}

Task<Result<>> Applier::resume() {
    Result<std::optional<Revision>> current = applied_.current();
    if (!current) co_return std::unexpected(current.error());
    if (!*current) co_return Result<>{};
    current_ = std::move(*current);
    parts_.set(current_->compiled);
    // The supervisor may know a later one, accepted but never made current because control died in between.
    Json arguments{{"desired", supervisor::to_json(current_->compiled.supervisor)},
                   {"origin", origin_of(*current_)}};
    Result<> accepted = co_await supervisor_.command("apply", std::move(arguments), accept_timeout);
    co_return accepted;
}

manifest::Plan Applier::plan(const manifest::Manifest& wanted) const {
    return manifest::diff(current_ ? std::optional(current_->manifest) : std::nullopt, wanted);
}

Task<Result<Outcome>> Applier::apply(Wanted wanted, bool force) {
    const bool ours = co_await turn_.take();
    if (!ours) {
        co_return fail(Error::Kind::unavailable, "another change takes too long to be accepted",
                       "try again in a moment; `havn logs control` shows what it waits for");
    }
    Result<Outcome> outcome = co_await apply_alone(std::move(wanted), force);
    turn_.give_back();
    co_return outcome;
}

// A service keeps the address it has; a new one gets a port nobody listens on now.
Result<std::map<std::string, std::string>> Applier::choose_listeners(const manifest::Manifest& wanted) const {
    constexpr std::uint16_t first = 28'000, range = 4'000;  // above the instances' ports
    if (next_port_ == 0) {  // spread, so that several platforms on one host rarely meet
        const std::string folder = std::filesystem::current_path().string();
        next_port_ = static_cast<std::uint16_t>(first + std::hash<std::string>{}(folder) % range);
    }
    const std::map<std::string, std::string> known =
        current_ ? Applied::service_listeners(*current_) : std::map<std::string, std::string>{};
    std::map<std::string, std::string> chosen;
    for (const manifest::Service& service : wanted.services) {
        if (const auto kept = known.find(service.name); kept != known.end()) {
            chosen.insert(*kept);
            continue;
        }
        Result<std::uint16_t> port = io::find_free_port(next_port_);
        if (!port) return std::unexpected(port.error());
        next_port_ = static_cast<std::uint16_t>(*port + 1);
        chosen[service.name] = "127.0.0.1:" + std::to_string(*port);
    }
    return chosen;
}

namespace {

// The password of the platform's own broker user: made once, and from then on that of the revision before.
std::string broker_password(const std::optional<Revision>& current) {
    if (current) {
        for (const broker::User& user : current->compiled.broker.users) {
            if (user.name == platform_user) return user.password;
        }
    }
    std::random_device random;  // the kernel's
    std::string password;
    for (int word = 0; word < 4; ++word) password += fmt::format("{:08x}", random());
    return password;
}

}  // namespace

Result<Revision> Applier::prepare(Wanted wanted, const std::map<std::string, std::string>& listeners) const {
    Revision revision;
    revision.number = current_ ? current_->number + 1 : 1;
    Result<Compiled> compiled =
        compile(wanted.manifest, {revision.number, wanted.directory, listeners, broker_password(current_)});
    if (!compiled) return std::unexpected(compiled.error());
    revision.compiled = std::move(*compiled);
    revision.manifest = std::move(wanted.manifest);
    revision.file = std::move(wanted.file);
    revision.directory = std::move(wanted.directory);
    revision.applied_at = to_rfc3339(io::wall_now());
    return revision;
}

namespace {

// Whether two revisions say the same to every part.
bool same(const Revision& a, const Revision& b) {
    if (a.directory != b.directory || a.manifest != b.manifest) return false;
    Compiled other = b.compiled;
    other.supervisor.revision = a.number;
    other.gateway.revision = a.number;
    other.broker.revision = a.number;
    return supervisor::to_json(a.compiled.supervisor) == supervisor::to_json(other.supervisor) &&
           gateway::to_json(a.compiled.gateway) == gateway::to_json(other.gateway) &&
           broker::to_json(a.compiled.broker) == broker::to_json(other.broker);
}

// A refusal because of a port that was free a moment ago.
bool lost_a_port(const Error& error, const std::map<std::string, std::string>& listeners) {
    for (const auto& [service, address] : listeners) {
        if (error.message.find(address) != std::string::npos) return true;
    }
    return false;
}

}  // namespace

Task<Result<>> Applier::accept(Revision revision) {
    if (Result<> written = applied_.write(revision); !written) co_return written;
    Json arguments{{"desired", supervisor::to_json(revision.compiled.supervisor)},
                   {"origin", origin_of(revision)}};
    Result<> accepted = co_await supervisor_.command("apply", std::move(arguments), accept_timeout);
    if (!accepted) {
        applied_.discard(revision.number);
        co_return accepted;
    }
    if (Result<> switched = applied_.make_current(revision.number); !switched) {
        if (current_) {  // the supervisor must not run ahead of what a restart would read
            Json back{{"desired", supervisor::to_json(current_->compiled.supervisor)},
                      {"origin", origin_of(*current_)}};
            [[maybe_unused]] Result<> undone =
                co_await supervisor_.command("apply", std::move(back), accept_timeout);
        }
        co_return switched;
    }
    log::info("revision {} is in force", revision.number);
    current_ = std::move(revision);
    parts_.set(current_->compiled);
    co_return Result<>{};
}

Task<Result<Outcome>> Applier::apply_alone(Wanted wanted, bool force) {
    Outcome outcome{.plan = plan(wanted.manifest), .before = supervisor_.processes()};
    for (int attempt = 1;; ++attempt) {
        Result<std::map<std::string, std::string>> listeners = choose_listeners(wanted.manifest);
        if (!listeners) co_return std::unexpected(listeners.error());
        Result<Revision> revision = prepare(wanted, *listeners);
        if (!revision) co_return std::unexpected(revision.error());
        outcome.revision = current_ ? current_->number : 0;
        if (current_ && !force && same(*current_, *revision)) co_return outcome;
        outcome.changed = true;
        outcome.revision = revision->number;
        Result<> accepted = co_await accept(std::move(*revision));
        if (accepted) co_return outcome;
        if (attempt == attempts_max || !lost_a_port(accepted.error(), *listeners)) {
            co_return std::unexpected(accepted.error());
        }
    }
}

}  // namespace havn::control
