// What /proc says about processes, and how to end all that one of them left behind.
//
// A process belongs to a tree when it descends from the main process, is in its session or its group, or
// carries the cookie HAVN_RUN in the environment it was started with. A grandchild that forked twice, called
// setsid and was re-parented still has the cookie; one that overwrote its environment still has its session
// or its parent.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace havn::supervisor {

inline constexpr std::string_view cookie_variable = "HAVN_RUN";

struct ProcessFacts {
    int pid = 0;
    int parent = 0;
    int group = 0;
    int session = 0;
    char state = '?';
    std::uint64_t start_time = 0;  // clock ticks after boot; with the pid it names a process for good
};

std::optional<ProcessFacts> read_process(int pid);
std::optional<std::uint64_t> start_time_of(int pid);
std::vector<ProcessFacts> read_all_processes();

// All processes as they were at one moment, and which of them belong together. Taking it reads the facts of
// every process there is (about 10 µs each), but the environment only of those that lost their parent to the
// supervisor or to what is above it: whatever an ended process left behind descends from one of these. So one
// view serves all units that ended or are to end in a turn.
class ProcessView {
  public:
    // `known` are main processes of units: nobody's leftovers.
    static ProcessView take(const std::unordered_set<int>& known);

    // Those of the tree that live, without the supervisor itself; costs what it finds. `main_pid` 0: by the
    // cookie alone.
    std::vector<int> tree(int main_pid, const std::string& cookie) const;
    const ProcessFacts* find(int pid) const;
    const std::vector<ProcessFacts>& all() const { return all_; }
    std::size_t environments_read() const { return environments_read_; }

  private:
    std::vector<ProcessFacts> all_;
    std::unordered_map<int, std::size_t> by_pid_;  // indexes of all_
    std::unordered_multimap<int, int> by_parent_, by_group_, by_session_;
    std::unordered_multimap<std::string, int> by_cookie_;
    std::size_t environments_read_ = 0;
};

// Those whose cookie begins with `run` (everything a platform started), but for the cookies to spare.
std::vector<int> find_run(std::string_view run, const std::set<std::string>& spared = {});

void kill_all(const std::vector<int>& pids);

}  // namespace havn::supervisor
