#include "control/shell/reconciler_driver.h"

#include <fmt/format.h>

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
constexpr std::uint16_t first_port = 28'000, port_range = 4'000;  // above the instances' ports

// Spread, so that several platforms on one host rarely meet.
std::uint16_t first_port_here() {
    const std::string folder = std::filesystem::current_path().string();
    return static_cast<std::uint16_t>(first_port + std::hash<std::string>{}(folder) % port_range);
}

std::string make_password() {
    std::random_device random;  // the kernel's
    std::string password;
    for (int word = 0; word < 4; ++word) password += fmt::format("{:08x}", random());
    return password;
}

}  // namespace

Result<> ReconcilerDriver::load(Effects& effects) {
    const Result<std::vector<std::string>> apps = surroundings_.revisions.applications();
    if (!apps) return std::unexpected(apps.error());
    std::vector<Revision> current;
    for (const std::string& app : *apps) {
        Result<std::optional<Revision>> revision = surroundings_.revisions.current(app);
        if (!revision) return std::unexpected(revision.error());
        if (*revision) current.push_back(std::move(**revision));
    }
    Result<ScaleTable> scales = surroundings_.scales.load();
    if (!scales) log::error("all runs in the manifest's numbers: {}", scales.error().text());
    return reconciler_.start(std::move(current), scales ? std::move(*scales) : ScaleTable{}, effects);
}

Task<Result<>> ReconcilerDriver::resume() {
    Effects effects;
    if (Result<> loaded = load(effects); !loaded) co_return loaded;
    if (!reconciler_.compiled()) co_return Result<>{};
    Result<> written = surroundings_.files.prepare(*reconciler_.compiled());
    if (written) written = surroundings_.files.commit();
    if (!written) log::error("gateway and broker will start with what they had: {}", written.error().text());
    perform(std::move(effects));
    if (!first_answer_) {
        resumed_.expires_at(Time::max());
        [[maybe_unused]] auto woken = co_await resumed_.async_wait(io::result);
    }
    co_return *first_answer_;
}

Task<void> ReconcilerDriver::keep_time() {
    for (;;) {
        alarm_.expires_at(reconciler_.deadline());
        [[maybe_unused]] auto woken = co_await alarm_.async_wait(io::result);
        if (reconciler_.deadline() > io::now()) continue;
        Effects effects;
        reconciler_.tick(io::now(), effects);
        perform(std::move(effects));
    }
}

Task<Result<ReconcilerDriver::Accepted>> ReconcilerDriver::change(Change change) {
    auto waiter = std::make_shared<Waiter>(io::Timer(executor_, Time::max()));
    Effects effects;
    const Ticket ticket = reconciler_.submit(std::move(change), io::now(), effects);
    waiting_.emplace(ticket, waiter);
    perform(std::move(effects));
    if (!waiter->reply) {
        [[maybe_unused]] auto woken = co_await waiter->timer.async_wait(io::result);
    }
    waiting_.erase(ticket);
    if (!*waiter->reply) co_return std::unexpected(waiter->reply->error());
    co_return Accepted{std::move(**waiter->reply), std::move(waiter->before)};
}

// One effect after the other: what one of them brings about comes after those that were there before.
void ReconcilerDriver::perform(Effects effects) {
    for (Effect& effect : effects) pending_.push_back(std::move(effect));
    if (std::exchange(performing_, true)) return;
    while (!pending_.empty()) {
        Effect effect = std::move(pending_.front());
        pending_.pop_front();
        Effects more;
        std::visit([this, &more](auto& one) { perform(one, more); }, effect);
        for (Effect& one : more) pending_.push_back(std::move(one));
    }
    performing_ = false;
    alarm_.cancel();  // keep_time() looks at the deadline again
}

void ReconcilerDriver::perform(Begin& effect, Effects&) {
    const auto waiter = waiting_.find(effect.ticket);
    if (waiter != waiting_.end()) waiter->second->before = surroundings_.supervisor.processes();
}

void ReconcilerDriver::perform(ChoosePlacement& effect, Effects& more) {
    reconciler_.placed(choose(effect), io::now(), more);
}

// An address that nobody listens on now, for each service.
Result<Placement> ReconcilerDriver::choose(const ChoosePlacement& wanted) {
    Placement chosen;
    if (wanted.password) chosen.broker_password = make_password();
    if (next_port_ == 0) next_port_ = first_port_here();
    for (const std::string& service : wanted.services) {
        const Result<std::uint16_t> port = io::find_free_port(next_port_);
        if (!port) return std::unexpected(port.error());
        next_port_ = static_cast<std::uint16_t>(*port + 1);
        chosen.service_addresses[service] = "127.0.0.1:" + std::to_string(*port);
    }
    return chosen;
}

void ReconcilerDriver::perform(WriteDraft& effect, Effects& more) {
    effect.revision.applied_at = to_rfc3339(io::wall_now());
    Result<> written = surroundings_.revisions.put(effect.revision);
    if (written) written = surroundings_.files.prepare(effect.compiled);
    if (!written) return reconciler_.drafted(std::unexpected(written.error()), io::now(), more);
    reconciler_.drafted(effect.revision.applied_at, io::now(), more);
}

void ReconcilerDriver::perform(DropDraft& effect, Effects&) {
    surroundings_.revisions.discard(effect.app, effect.number);
}

void ReconcilerDriver::perform(AskSupervisor& effect, Effects&) {
    Json arguments{{"desired", supervisor::to_json(effect.desired)}, {"origin", origin_of(effect.source)}};
    io::asio::co_spawn(executor_, ask(effect.question, std::move(arguments)), io::asio::detached);
}

Task<void> ReconcilerDriver::ask(std::uint64_t question, Json arguments) {
    const std::optional<Result<>> said =
        co_await surroundings_.supervisor.ask("apply", std::move(arguments), accept_timeout);
    const Result<> result = said ? *said : std::unexpected(SupervisorLink::no_answer());
    if (!first_answer_) {
        first_answer_ = result;
        resumed_.cancel();
    }
    const Answer answer = result ? Answer::accepted : said ? Answer::refused : Answer::unknown;
    Effects effects;
    reconciler_.answered(question, answer, result ? Error{} : result.error(), io::now(), effects);
    perform(std::move(effects));
}

void ReconcilerDriver::perform(Commit& effect, Effects& more) {
    Result<> done;
    if (effect.number) done = surroundings_.revisions.make_current(effect.app, *effect.number);
    if (done && effect.number) {
        log::info("revision {} is in force", *effect.number);
        // Control writes them anew when it starts, and tells both what holds before that.
        if (Result<> renamed = surroundings_.files.commit(); !renamed) {
            log::error("gateway and broker would start with what they had: {}", renamed.error().text());
        }
    }
    if (done && effect.scales) {
        Result<> saved = surroundings_.scales.save(*effect.scales);
        if (!saved && effect.number) {
            log::error("the table of scales is not written: {}", saved.error().text());
        }
        if (!effect.number) done = saved;
    }
    reconciler_.committed(std::move(done), io::now(), more);
}

void ReconcilerDriver::perform(Announce& effect, Effects&) {
    surroundings_.components.set(effect.compiled);
}

void ReconcilerDriver::perform(Reply& effect, Effects&) {
    const auto waiter = waiting_.find(effect.ticket);
    if (waiter == waiting_.end()) return;
    waiter->second->reply = std::move(effect.outcome);
    waiter->second->timer.cancel();
}

}  // namespace havn::control
