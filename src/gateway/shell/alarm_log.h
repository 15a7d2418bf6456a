// What the process is short of, as lines of the log: one when it begins, one when it has been over for a
// while. Each thread has one of these; the alarms themselves are the process's, so a line is written once.
#pragma once

#include "gateway/core/policy/alarms.h"
#include "gateway/core/queue_job.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/core/turn/metrics.h"
#include "gateway/core/turn/turn_clock.h"
#include "gateway/shell/shared.h"

namespace havn::gateway {

class AlarmLog final : public Timer, public QueueJob::Observer {
  public:
    // All of them outlive it.
    AlarmLog(TurnClock& clock, Deadlines& deadlines, Metrics& metrics, Shared& shared)
        : clock_(clock), deadlines_(deadlines), metrics_(metrics), shared_(shared) {}
    ~AlarmLog() { deadlines_.clear(*this); }

    // Notes that it is wrong now. True: nobody has been told yet.
    bool is_news(Alarm& alarm);

    void on_memory_refused() override;
    void on_deadline() override;

  private:
    TurnClock& clock_;
    Deadlines& deadlines_;
    Metrics& metrics_;
    Shared& shared_;
};

}  // namespace havn::gateway
