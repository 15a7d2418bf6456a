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

// Those of the tree that live, without the supervisor itself. Reads /proc once: about 20 µs per process there
// is.
std::vector<int> find_tree(int main_pid, std::string_view cookie);
// Those whose cookie begins with `run` (everything a platform started), but for the cookies to spare.
std::vector<int> find_run(std::string_view run, const std::set<std::string>& spared = {});

void kill_all(const std::vector<int>& pids);

}  // namespace havn::supervisor
