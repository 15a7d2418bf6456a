// The lines of one thread's access log, gathered until there are enough of them or the first has waited long
// enough; then they go to a sink in one piece.
#pragma once

#include <cstdint>
#include <string>

#include "gateway/core/turn/access_log.h"
#include "gateway/core/turn/deadlines.h"
#include "gateway/core/turn/metrics.h"
#include "gateway/core/turn/turn_clock.h"

namespace havn::gateway {

class LineSink {
  public:
    // Whole lines. False: they were dropped.
    virtual bool submit(std::string lines) = 0;

  protected:
    ~LineSink() = default;
};

class LogBuffer final : public Timer {
  public:
    static constexpr std::size_t flush_bytes = 65536;
    static constexpr milliseconds flush_after{200};

    // All of them outlive the buffer.
    LogBuffer(TurnClock& clock, Deadlines& deadlines, Metrics& metrics, LineSink& sink)
        : clock_(clock), deadlines_(deadlines), metrics_(metrics), sink_(sink) {}
    ~LogBuffer() { flush(); }

    void add(const AccessRecord& record);
    void flush();
    void on_deadline() override { flush(); }

  private:
    TurnClock& clock_;
    Deadlines& deadlines_;
    Metrics& metrics_;
    LineSink& sink_;
    std::string lines_;
    std::uint64_t count_ = 0;  // of them
};

}  // namespace havn::gateway
