#include "supervisor/shell/leftovers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <set>
#include <thread>

#include "supervisor/core/saved_state.h"
#include "supervisor/shell/data_folder.h"
#include "supervisor/shell/process_tree.h"

namespace havn::supervisor {

static constexpr int clear_rounds = 250;
static constexpr milliseconds clear_pause{20};

std::vector<int> find_leftovers() {
    const Result<std::string> text = read_state(state_file);
    if (!text) return {};
    const Result<Json> json = parse_json(*text);
    Result<SavedState> saved = json ? saved_state_from_json(*json) : std::unexpected(json.error());
    if (!saved) return {};
    if (const Result<std::string> lines = read_state(journal_file)) add_spawned(*saved, *lines);
    const std::vector<int> of_run = find_run(saved->run);
    std::set<int> left(of_run.begin(), of_run.end());
    const ProcessView view = ProcessView::take({});
    for (const Unit& unit : saved->units) {
        const ProcessFacts* main = unit.pid == 0 ? nullptr : view.find(unit.pid);
        if (!main || main->start_time != unit.start_time) continue;
        for (const int pid : view.tree(unit.pid, unit.cookie)) left.insert(pid);
    }
    return {left.begin(), left.end()};
}

int run_clear(const Options& options) {
    const auto refuse = [](const Error& error) {
        std::fprintf(stderr, "havn: %s\n", error.text().c_str());
        return 1;
    };
    if (::chdir(options.data.c_str()) != 0) return refuse(fail_errno("enter " + options.data).error());
    const Result<io::Fd> lock = lock_data_folder(options.data);
    if (!lock) return refuse(lock.error());
    std::set<int> ended;
    for (int round = 0; round < clear_rounds; ++round) {
        const std::vector<int> left = find_leftovers();
        if (left.empty()) {
            ::unlink(state_file);
            ::unlink(journal_file);
            std::printf("%zu\n", ended.size());
            return 0;
        }
        ended.insert(left.begin(), left.end());
        kill_all(left);
        std::this_thread::sleep_for(clear_pause);
    }
    return refuse(
        {Error::Kind::denied, "processes of an earlier platform do not end", "end them as their user"});
}

}  // namespace havn::supervisor
