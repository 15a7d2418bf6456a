// What outlives a simulated supervisor: the host's processes, the keeper's memory, and the disk. And the
// crash that ends a supervisor at any point of what it does.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "supervisor/core/state/state_log.h"

namespace havn::supervisor {

// Thrown at a point where the supervisor dies. What it had done until then stays done.
struct Crash {};

class CrashPoints {
  public:
    explicit CrashPoints(Random& random) : random_(random) {}
    void allow(bool allowed) { allowed_ = allowed; }
    void here() {
        if (allowed_ && random_.once_in(60)) throw Crash{};
    }

  private:
    Random& random_;
    bool allowed_ = true;
};

// The state files, as a SIGKILL leaves them: what a write that returned has written stays, one that was
// under way may have left a part. Sometimes there is no space; but for the first base, without which
// nothing is found.
class SimDisk final : public StateDisk {
  public:
    SimDisk(Random& random, CrashPoints& crash) : random_(random), crash_(crash) {}

    Result<> replace_base(std::string_view text) override;
    Result<> empty_journal() override;
    Result<> append_to_journal(std::string_view lines) override;

    void allow_full(bool allowed) { may_be_full_ = allowed; }
    const std::optional<std::string>& base() const { return base_; }
    const std::string& journal() const { return journal_; }

  private:
    bool is_full() { return may_be_full_ && base_ && random_.once_in(20); }

    Random& random_;
    CrashPoints& crash_;
    std::optional<std::string> base_;
    std::string journal_;
    bool may_be_full_ = true;
};

struct SimProcess {
    std::string handle;
    std::string label;
    InstanceId instance = 0;
    Role role = Role::service;
    std::uint64_t start_time = 0;
};

// Few pids, so that they are used again soon.
class SimHost {
  public:
    int spawn(SimProcess process);
    void end(int pid) { living_.erase(pid); }
    const std::map<int, SimProcess>& living() const { return living_; }
    bool lives(int pid, std::uint64_t start_time) const {
        const auto found = living_.find(pid);
        return found != living_.end() && found->second.start_time == start_time;
    }

  private:
    static constexpr int first_pid = 100, pids = 40;
    std::map<int, SimProcess> living_;
    int last_pid_ = first_pid;
    std::uint64_t ticks_ = 1;
};

}  // namespace havn::supervisor
