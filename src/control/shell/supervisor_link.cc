#include "control/shell/supervisor_link.h"

#include "base/log.h"

namespace havn::control {

SupervisorLink::SupervisorLink(io::Executor executor, io::Fd socket)
    : executor_(executor), link_(executor, std::move(socket)) {}

void SupervisorLink::ready() {
    link_.send(to_json(link::Ready{}));
}

Task<void> SupervisorLink::receive() {
    for (;;) {
        Result<io::Link::Message> message = co_await link_.receive();
        if (!message) break;
        on_message(std::move(*message));
    }
    for (auto& [id, waiter] : waiting_) {
        waiter->reply = fail(Error::Kind::unavailable, "the supervisor is gone", "try again in a moment");
        waiter->timer.cancel();
    }
    wake_all();
}

void SupervisorLink::on_message(io::Link::Message received) {
    Result<link::ToPart> message = link::to_part_from_json(std::move(received.body));
    if (!message) return log::warning("the supervisor's word is not understood: {}", message.error().text());
    if (auto* processes = std::get_if<link::Processes>(&*message)) {
        processes_.apply(std::move(*processes));
        ++revision_;
        wake_all();
        if (on_table_) on_table_();
    } else if (const auto* listeners = std::get_if<link::Listeners>(&*message)) {
        if (on_listeners_) on_listeners_(*listeners, std::move(received.descriptors));
    } else if (const auto* reply = std::get_if<link::Reply>(&*message)) {
        const auto waiter = waiting_.find(reply->id);
        if (waiter == waiting_.end()) return;  // it came after its deadline
        waiter->second->reply = reply->error ? std::unexpected(*reply->error) : Result<>{};
        waiter->second->timer.cancel();
    } else {
        log::warning("the supervisor sent a message that is not for control");
    }
}

void SupervisorLink::wake_all() {
    for (const std::shared_ptr<io::Timer>& timer : watching_) timer->cancel();
}

Error SupervisorLink::no_answer() {
    return {Error::Kind::unavailable, "the supervisor did not answer",
            "look at logs/supervisor.log in the data folder"};
}

Task<Result<>> SupervisorLink::command(std::string type, Json arguments, Duration timeout) {
    const std::optional<Result<>> reply = co_await ask(std::move(type), std::move(arguments), timeout);
    if (!reply) co_return std::unexpected(no_answer());
    co_return *reply;
}

Task<std::optional<Result<>>> SupervisorLink::ask(std::string type, Json arguments, Duration timeout) {
    const std::uint64_t id = next_id_++;
    arguments["type"] = std::move(type);
    arguments["id"] = id;
    auto waiter = std::make_shared<Waiter>(io::Timer(executor_, timeout), std::nullopt);
    waiting_.emplace(id, waiter);
    link_.send(arguments);
    [[maybe_unused]] auto woken = co_await waiter->timer.async_wait(io::result);
    waiting_.erase(id);
    co_return waiter->reply;
}

Task<bool> SupervisorLink::changed(std::uint64_t seen, Time deadline) {
    if (revision_ != seen) co_return true;
    auto timer = std::make_shared<io::Timer>(executor_, deadline);
    watching_.insert(timer);
    [[maybe_unused]] auto woken = co_await timer->async_wait(io::result);
    watching_.erase(timer);
    co_return revision_ != seen;
}

}  // namespace havn::control
