// Ends processes with all that descends from them: those that are to end, and what ended ones left behind.
//
// What is to be done is gathered and done in one look at /proc, so that a thousand ends at once cost one
// look, and looks keep a distance, so that they take no more than a tenth of the loop's time. Restarts do not
// wait for a look, and it waits a moment for them: it would take the core that the next life begins on.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/loop.h"
#include "supervisor/runtime/process_lives.h"

namespace havn::supervisor {

class ProcessEnds {
  public:
    // Loop and lives outlive this object.
    // `on_left_behind` is told the label of a life that left processes behind.
    ProcessEnds(io::Loop& loop, const ProcessLives& lives,
                std::function<void(const std::string&)> on_left_behind)
        : loop_(loop), lives_(lives), on_left_behind_(std::move(on_left_behind)) {}

    // SIGTERM, to the main process, or to the group of one that a shell stands for.
    void terminate(ProcessLifePtr life);
    // SIGKILL to the whole tree.
    void kill(ProcessLifePtr life);
    // Of a life that is over: what it left.
    void sweep(const ProcessLife& life);

  private:
    struct Ended {  // a life, of whose processes some may still be there
        std::string label;
        int pid;
        std::string cookie;
        std::vector<ProcessFacts> tree;
        int round;
    };

    void look_soon();
    static io::Task<void> look(ProcessEnds* self);
    void terminate_now(const ProcessView& view);
    void sweep_now(const ProcessView& view);

    io::Loop& loop_;
    const ProcessLives& lives_;
    std::function<void(const std::string&)> on_left_behind_;
    std::vector<ProcessLifePtr> to_terminate_, to_kill_;
    std::vector<Ended> ended_;
    bool look_pending_ = false;
    Time next_look_{};
};

}  // namespace havn::supervisor
