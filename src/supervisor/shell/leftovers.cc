#include "supervisor/shell/leftovers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <set>
#include <thread>

#include "supervisor/core/state/saved_state.h"
#include "supervisor/keeper/own_file.h"
#include "supervisor/runtime/process_view.h"
#include "supervisor/shell/data_folder.h"
#include "supervisor/shell/supervisor.h"

namespace havn::supervisor {

namespace {

constexpr int clear_rounds = 250;
constexpr milliseconds clear_pause{20};

}  // namespace

std::vector<int> find_leftovers() {
    const Result<std::string> text = read_own_file(state_file);
    if (!text) return {};
    const Result<Json> json = parse_json(*text);
    Result<SavedState> saved = json ? saved_state_from_json(*json) : std::unexpected(json.error());
    if (!saved) return {};
    const char* const journal = saved->base == 0 ? first_journal_file : journal_file;
    if (const Result<std::string> lines = read_own_file(journal)) add_journal(*saved, *lines);
    const std::vector<int> of_run = find_run(saved->run);
    std::set<int> left(of_run.begin(), of_run.end());
    const ProcessView view = ProcessView::take({});
    for (const Instance& instance : saved->instances) {
        const Started& life = instance.life;
        const ProcessFacts* main = life.pid == 0 ? nullptr : view.find(life.pid);
        if (!main || main->start_time != life.start_time) continue;
        for (const int pid : view.tree(life.pid, life.handle)) left.insert(pid);
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
            ::unlink(first_journal_file);
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
