// The process table as it is written down for the next supervisor, and as control is told of it.
//
// A start is written before anybody acts on it. Other changes follow at the end of the turn when it was
// quiet, else with a distance that grows with what had to be written, so that a thousand changes do not write
// a thousand times. What one change costs does not depend on how many instances there are: its lines go to
// the end of the journal, and only when that has outgrown its base the whole table is written anew.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/loop.h"
#include "supervisor/core/state/state_log.h"
#include "supervisor/core/state/table_rows.h"
#include "supervisor/shell/part_links.h"
#include "supervisor/shell/supervisor_log.h"

namespace havn::supervisor {

class StateFiles final : StateDisk {
  public:
    struct Context {
        io::Loop& loop;
        ProcessTable& table;
        const PartLinks& parts;
        SupervisorLog& log;
    };

    // What `context` refers to outlives this object. `base`: the number of the base that was found, or 0.
    StateFiles(const Context& context, std::string run, std::uint64_t base, const PlatformRows& platform);

    // The whole table, before anything is started: from now on whoever follows knows of this run.
    void write_base();
    void started(const Instance& instance);
    void changed();    // the rest follows soon
    void write_now();  // for who is about to be told, or to take over
    void control_connected() { whole_due_ = true; }
    // Nothing runs any more, and nothing is left to take over.
    void remove();

    const PlatformRows& platform() const { return platform_; }

  private:
    Result<> replace_base(std::string_view text) override;
    Result<> empty_journal() override;
    Result<> append_to_journal(std::string_view lines) override;
    void report(const Result<>& written);
    static io::Task<void> write_later(StateFiles* self, Duration pause);
    void tell_control(const Touched& touched);

    Context context_;
    PlatformRows platform_;
    StateLog state_;
    TableRows rows_;
    io::Fd journal_;
    bool whole_due_ = true;   // control knows no table, or missed a change
    std::uint64_t revision_;  // of what control is told; grows over all supervisors
    bool change_pending_ = false;
    Time next_write_{};
    bool removed_ = false;
};

}  // namespace havn::supervisor
