#include "supervisor/runtime/process_ends.h"

#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "io/clock.h"

namespace havn::supervisor {

namespace {

constexpr int sweep_rounds = 50;
constexpr milliseconds sweep_pause{20};
constexpr int look_share = 10;  // of the time, one part for looking
constexpr milliseconds look_after_end{5};

}  // namespace

void ProcessEnds::terminate(ProcessLifePtr life) {
    to_terminate_.push_back(std::move(life));
    look_soon();
}

void ProcessEnds::kill(ProcessLifePtr life) {
    to_kill_.push_back(std::move(life));
    look_soon();
}

void ProcessEnds::sweep(const ProcessLife& life) {
    ended_.push_back({life.label, life.started.pid, life.started.handle, life.tree, 0});
    look_soon();
}

void ProcessEnds::look_soon() {
    if (std::exchange(look_pending_, true)) return;
    loop_.spawn(look(this));
}

io::Task<void> ProcessEnds::look(ProcessEnds* self) {
    // Also without a pause to wait for, the events of this turn come first.
    const bool only_ended = self->to_terminate_.empty() && self->to_kill_.empty();
    const Duration least = only_ended ? Duration(look_after_end) : Duration(0);
    co_await io::sleep_for(std::max(least, self->next_look_ - io::now()));
    self->look_pending_ = false;
    const Time began = io::now();
    const ProcessView view = ProcessView::take(self->lives_.pids());
    self->terminate_now(view);
    self->sweep_now(view);
    const Time now = io::now();
    self->next_look_ = now + (now - began) * (look_share - 1);
    if (self->ended_.empty()) co_return;
    self->next_look_ = std::max(self->next_look_, now + sweep_pause);
    self->look_soon();
}

void ProcessEnds::terminate_now(const ProcessView& view) {
    for (const ProcessLifePtr& life : std::exchange(to_terminate_, {})) {
        if (!lives_.holds(life)) continue;
        // The main process ends its own children in its own way (Celery's pool, gunicorn's workers). A shell
        // in its place would not: then all of the group is told.
        const int pid = life->started.pid;
        for (const int member : view.tree(pid, life->started.handle)) {
            if (member != pid) life->tree.push_back(*view.find(member));
        }
        ::kill(life->shell_stays ? -pid : pid, SIGTERM);
    }
    for (const ProcessLifePtr& life : std::exchange(to_kill_, {})) {
        if (!lives_.holds(life)) continue;
        kill_all(view.tree(life->started.pid, life->started.handle));
        ::kill(-life->started.pid, SIGKILL);
    }
}

// Ends what left the group of a process that ended (setsid, double fork); the next life has its own cookie.
// `tree` are those that were seen as its descendants, however they hide now.
void ProcessEnds::sweep_now(const ProcessView& view) {
    std::vector<Ended> unfinished;
    for (Ended& ended : std::exchange(ended_, {})) {
        const bool number_reused = lives_.find_pid(ended.pid) != nullptr;
        std::vector<int> left = view.tree(number_reused ? 0 : ended.pid, ended.cookie);
        for (const ProcessFacts& facts : ended.tree) {
            const ProcessFacts* present = view.find(facts.pid);
            if (present && present->start_time == facts.start_time && present->state != 'Z') {
                left.push_back(facts.pid);
            }
        }
        if (left.empty()) continue;
        if (ended.round == 0) on_left_behind_(ended.label);
        kill_all(left);
        if (++ended.round < sweep_rounds) unfinished.push_back(std::move(ended));
    }
    ended_ = std::move(unfinished);
}

}  // namespace havn::supervisor
