// The lives that the process runtime has begun or taken over: one process each, with what belongs to it.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "io/asio.h"
#include "supervisor/core/instance.h"
#include "supervisor/runtime/process_view.h"
#include "supervisor/runtime/spawn.h"

namespace havn::supervisor {

struct ProcessLife {
    InstanceId instance = 0;
    std::string label;    // for the log
    std::string command;  // as its owner wrote it; empty for a part
    Started started;      // the handle is its cookie, in the environment of all it starts
    Time began{};
    std::optional<uid_t> uid;                // it was started as; none for one that was taken over
    SpawnRequest request;                    // until its program began; empty for one that was taken over
    std::shared_ptr<io::Descriptor> status;  // until its program began
    std::shared_ptr<io::Descriptor> pidfd;
    std::optional<Error> failure;   // why its program did not begin
    std::optional<Exit> told_exit;  // by the keeper, whose child it is
    bool by_shell = false;          // its command is run by /bin/sh
    bool shell_stays = false;       // its main process is a shell: the program is another of its group
    bool told_to_end = false;
    Exit exit;                       // known before the group has ended
    std::string answers_elsewhere;   // instead of at its address, when somebody looked
    std::vector<ProcessFacts> tree;  // its descendants when it was told to end
};

// Shared with the coroutines that watch a life; one that is no longer here is over.
using ProcessLifePtr = std::shared_ptr<ProcessLife>;

class ProcessLives {
  public:
    void add(ProcessLifePtr life) {
        by_pid_[life->started.pid] = life->instance;
        lives_[life->instance] = std::move(life);
    }
    void remove(const ProcessLife& life) {
        by_pid_.erase(life.started.pid);
        lives_.erase(life.instance);
    }
    ProcessLifePtr find(InstanceId instance) const {
        const auto found = lives_.find(instance);
        return found == lives_.end() ? nullptr : found->second;
    }
    ProcessLifePtr find_pid(int pid) const {
        const auto found = by_pid_.find(pid);
        return found == by_pid_.end() ? nullptr : find(found->second);
    }
    bool holds(const ProcessLifePtr& life) const { return find(life->instance) == life; }
    std::unordered_set<int> pids() const {
        std::unordered_set<int> all;
        for (const auto& [pid, instance] : by_pid_) all.insert(pid);
        return all;
    }

  private:
    std::map<InstanceId, ProcessLifePtr> lives_;
    std::unordered_map<int, InstanceId> by_pid_;
};

}  // namespace havn::supervisor
