// Ends processes with all that descends from them: those that are to end, and what ended ones left behind.
//
// What is to be done is gathered and done in one look at /proc, so that a thousand ends at once cost one
// look, and looks keep a distance, so that they take no more than a tenth of the loop's time. Restarts do not
// wait for a look, and it waits a moment for them: it would take the core that the next life begins on.
#include <fmt/format.h>

#include <csignal>

#include "io/clock.h"
#include "supervisor/shell/process_tree.h"
#include "supervisor/shell/supervisor_process.h"

namespace havn::supervisor {

static constexpr int tree_sweep_rounds = 50;
static constexpr milliseconds tree_sweep_pause{20};
static constexpr int look_share = 10;  // of the time, one part for looking
static constexpr milliseconds look_after_end{5};

void SupervisorProcess::perform_one(const Terminate& effect) {
    const Unit* unit = fleet_.find(effect.unit);
    if (!unit || unit->pid == 0) return;
    to_terminate_.emplace_back(unit->id, unit->pid);
    look_soon();
}

void SupervisorProcess::perform_one(const KillTree& effect) {
    const Unit* unit = fleet_.find(effect.unit);
    if (!unit || unit->pid == 0) return;
    to_kill_.emplace_back(unit->id, unit->pid);
    look_soon();
}

void SupervisorProcess::look_soon() {
    if (std::exchange(look_pending_, true)) return;
    loop_.spawn(look(this));
}

io::Task<void> SupervisorProcess::look(SupervisorProcess* self) {
    // Also without a pause to wait for, the events of this turn come first.
    const bool only_ended = self->to_terminate_.empty() && self->to_kill_.empty();
    const Duration least = only_ended ? Duration(look_after_end) : Duration(0);
    co_await io::sleep_for(std::max(least, self->next_look_ - io::now()));
    self->look_pending_ = false;
    const Time began = io::now();
    std::unordered_set<int> known;
    for (const auto& [id, unit] : self->fleet_.units()) {
        if (unit.pid != 0) known.insert(unit.pid);
    }
    const ProcessView view = ProcessView::take(known);
    self->terminate(view);
    self->sweep(view);
    const Time now = io::now();
    self->next_look_ = now + (now - began) * (look_share - 1);
    if (self->ended_.empty()) co_return;
    self->next_look_ = std::max(self->next_look_, now + tree_sweep_pause);
    self->look_soon();
}

void SupervisorProcess::terminate(const ProcessView& view) {
    for (const auto& [id, pid] : std::exchange(to_terminate_, {})) {
        const Unit* unit = fleet_.find(id);
        if (!unit || unit->pid != pid) continue;
        // The main process ends its own children in its own way (Celery's pool, gunicorn's workers). A shell
        // in its place would not: then all of the group is told.
        Process& process = processes_[id];
        for (const int member : view.tree(pid, unit->cookie)) {
            if (member != pid) process.tree.push_back(*view.find(member));
        }
        ::kill(process.shell_stays ? -pid : pid, SIGTERM);
    }
    for (const auto& [id, pid] : std::exchange(to_kill_, {})) {
        const Unit* unit = fleet_.find(id);
        if (!unit || unit->pid != pid) continue;
        kill_all(view.tree(pid, unit->cookie));
        ::kill(-pid, SIGKILL);
    }
}

// Ends what left the group of a process that ended (setsid, double fork); the next life has its own cookie.
// `tree` are those that were seen as its descendants, however they hide now.
void SupervisorProcess::sweep(const ProcessView& view) {
    std::vector<Ended> unfinished;
    for (Ended& ended : std::exchange(ended_, {})) {
        const bool number_reused = fleet_.find_pid(ended.pid) != nullptr;
        std::vector<int> left = view.tree(number_reused ? 0 : ended.pid, ended.cookie);
        for (const ProcessFacts& facts : ended.tree) {
            const ProcessFacts* present = view.find(facts.pid);
            if (present && present->start_time == facts.start_time && present->state != 'Z')
                left.push_back(facts.pid);
        }
        if (left.empty()) continue;
        if (ended.round == 0)
            say(log::Level::info, fmt::format("{} left processes behind; ending them", ended.label));
        kill_all(left);
        if (++ended.round < tree_sweep_rounds) unfinished.push_back(std::move(ended));
    }
    ended_ = std::move(unfinished);
}

}  // namespace havn::supervisor
