#include "sim/scheduler.h"

#include <algorithm>

namespace havn::sim {

Scheduler::Ticket Scheduler::after(Duration delay, Action action) {
    return at(now_ + std::max(delay, Duration::zero()), std::move(action));
}

Scheduler::Ticket Scheduler::within(Duration least, Duration most, Action action) {
    const auto span = static_cast<std::uint64_t>((most - least).count());
    return after(least + Duration(static_cast<Duration::rep>(random_.between(0, span))), std::move(action));
}

Scheduler::Ticket Scheduler::at(Time due, Action action) {
    Ticket ticket;
    ticket.due_ = std::max(due, now_);
    do {
        ticket.order_ = random_.next() | 1;  // 0 is the ticket that names no action
    } while (actions_.contains({ticket.due_, ticket.order_}));
    actions_.emplace(std::pair(ticket.due_, ticket.order_), std::move(action));
    return ticket;
}

void Scheduler::cancel(Ticket ticket) {
    actions_.erase({ticket.due_, ticket.order_});
}

bool Scheduler::step() {
    if (actions_.empty()) return false;
    auto next = actions_.extract(actions_.begin());
    now_ = next.key().first;
    ++steps_;
    next.mapped()();
    return true;
}

void Scheduler::run_until(Time end) {
    while (!actions_.empty() && actions_.begin()->first.first <= end) step();
    now_ = std::max(now_, end);
}

bool Scheduler::run_until(const std::function<bool()>& done, Time end) {
    while (!done()) {
        if (actions_.empty() || actions_.begin()->first.first > end) return false;
        step();
    }
    return true;
}

}  // namespace havn::sim
