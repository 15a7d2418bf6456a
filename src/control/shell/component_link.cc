#include "control/shell/component_link.h"

#include "base/log.h"
#include "io/clock.h"

namespace havn::control {
namespace {

constexpr Duration answer_timeout = seconds(5);

}  // namespace

void ComponentLink::set(const Compiled& compiled) {
    components_.set(compiled);
    broker_ = compiled.broker;
    wake_.cancel();
}

void ComponentLink::wake() {
    components_.on_table(supervisor_.processes());
    wake_.cancel();
}

void ComponentLink::try_again() {
    components_.try_again();
    wake_.cancel();
}

Task<void> ComponentLink::keep_informed() {
    for (;;) {
        std::optional<Components::Update> update = components_.next(io::now());
        if (!update) {
            wake_.expires_at(components_.due());
            [[maybe_unused]] auto woken = co_await wake_.async_wait(io::result);
            continue;
        }
        const Result<> answer = co_await tell(*update, broker_);
        const Components::Note note = components_.answered(*update, answer, io::now());
        if (note.line.empty()) continue;
        note.is_problem ? log::warning("{}", note.line) : log::info("{}", note.line);
    }
}

Task<Result<>> ComponentLink::tell(Components::Update update, broker::Config broker) {
    if (update.name == "broker") {
        Result<> applied = co_await engine_.apply(std::move(broker));
        co_return applied;
    }
    rpc::Client client = gateway();
    const Result<Json> answer = co_await client.request("PUT", "/config", update.config, answer_timeout);
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<>();
}

Task<bool> ComponentLink::gateway_follows(std::set<std::string> services) {
    rpc::Client client = gateway();
    const Result<Json> status = co_await client.request("GET", "/status", nullptr, answer_timeout);
    if (!status) co_return false;
    co_return control::gateway_follows(status->value("services", Json::object()), supervisor_.processes(),
                                       services);
}

}  // namespace havn::control
