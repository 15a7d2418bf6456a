#include "gateway/shell/alarm_log.h"

#include "base/log.h"

namespace havn::gateway {

bool AlarmLog::is_news(Alarm& alarm) {
    if (!is_set()) deadlines_.set(*this, clock_.now() + Alarm::calm);
    return alarm.raise(clock_.now());
}

void AlarmLog::on_memory_refused() {
    metrics_.memory_refusals.add();
    if (!is_news(shared_.alarms.memory)) return;
    log::warning(
        "request bodies for queues fill the memory for them ({} of {} bytes): jobs are answered 503 until "
        "there is room; raise memory in [gateway]",
        shared_.memory.used(), shared_.memory.limit());
}

void AlarmLog::on_deadline() {
    bool any = false;
    for (const auto& [alarm, over] : shared_.alarms.all()) {
        if (alarm->calmed_down(clock_.now())) log::info("{}", over);
        any = any || alarm->raised();
    }
    if (any) deadlines_.set(*this, clock_.now() + Alarm::calm);
}

}  // namespace havn::gateway
