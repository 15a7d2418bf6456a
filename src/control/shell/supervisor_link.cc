#include "control/shell/supervisor_link.h"

#include "base/log.h"
#include "rpc/message.h"

namespace havn::control {

SupervisorLink::SupervisorLink(io::Executor executor, io::Fd socket)
    : executor_(executor), link_(executor, std::move(socket)) {}

void SupervisorLink::ready() {
    link_.send({{"type", "ready"}});
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
    Json& message = received.body;
    const std::string type = message.value("type", "");
    if (type == "processes" && message.contains("processes")) {
        processes_ = std::move(message["processes"]);
        ++revision_;
        wake_all();
        if (on_table_) on_table_();
    } else if (type == "listeners") {
        if (on_listeners_) on_listeners_(std::move(received));
    } else if (type == "reply") {
        const auto waiter = waiting_.find(message.value("id", std::uint64_t{0}));
        if (waiter == waiting_.end()) return;  // it came after its deadline
        waiter->second->reply = Result<>{};
        if (message.contains("error")) {
            waiter->second->reply = std::unexpected(rpc::error_from(500, message.dump()));
        }
        waiter->second->timer.cancel();
    } else {
        log::warning("the supervisor sent '{}', which control does not know", type);
    }
}

void SupervisorLink::wake_all() {
    for (const std::shared_ptr<io::Timer>& timer : watching_) timer->cancel();
}

Task<Result<>> SupervisorLink::command(std::string type, Json arguments, Duration timeout) {
    const std::uint64_t id = next_id_++;
    arguments["type"] = std::move(type);
    arguments["id"] = id;
    auto waiter = std::make_shared<Waiter>(io::Timer(executor_, timeout), std::nullopt);
    waiting_.emplace(id, waiter);
    link_.send(arguments);
    [[maybe_unused]] auto woken = co_await waiter->timer.async_wait(io::result);
    waiting_.erase(id);
    if (waiter->reply) co_return *waiter->reply;
    co_return fail(Error::Kind::unavailable, "the supervisor did not answer",
                   "look at logs/supervisor.log in the data folder");
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
