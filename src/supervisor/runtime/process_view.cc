#include "supervisor/runtime/process_view.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "io/fd.h"
#include "io/file.h"

namespace havn::supervisor {

std::optional<ProcessFacts> read_process(int pid) {
    char path[40];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const io::Fd file(::open(path, O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    char text[1024];
    const ssize_t size = ::read(file.get(), text, sizeof text - 1);
    if (size <= 0) return std::nullopt;
    text[size] = 0;
    // The name in parentheses may hold anything; the fields begin after the last one (proc(5)).
    const char* fields = std::string_view(text).rfind(')') == std::string_view::npos
                             ? nullptr
                             : text + std::string_view(text).rfind(')') + 1;
    ProcessFacts facts;
    facts.pid = pid;
    unsigned long long start_time = 0;
    if (!fields ||
        std::sscanf(fields, " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                    &facts.state, &facts.parent, &facts.group, &facts.session, &start_time) != 5) {
        return std::nullopt;
    }
    facts.start_time = start_time;
    return facts;
}

std::optional<std::uint64_t> start_time_of(int pid) {
    const std::optional<ProcessFacts> facts = read_process(pid);
    return facts ? std::optional(facts->start_time) : std::nullopt;
}

std::vector<ProcessFacts> read_all_processes() {
    struct Close {
        void operator()(DIR* folder) const { ::closedir(folder); }
    };
    const std::unique_ptr<DIR, Close> folder(::opendir("/proc"));
    std::vector<ProcessFacts> all;
    while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
        const std::string_view name(entry->d_name);
        int pid = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc{}) continue;
        if (std::optional<ProcessFacts> facts = read_process(pid)) all.push_back(*facts);
    }
    return all;
}

namespace {

// The value of HAVN_RUN in the environment `pid` was started with; empty when there is none, or no
// permission.
std::string cookie_of(int pid) {
    const Result<std::string> text = io::read_file("/proc/" + std::to_string(pid) + "/environ");
    if (!text) return "";
    const std::string key = std::string(cookie_variable) + "=";
    std::size_t at = text->starts_with(key) ? 0 : text->find('\0' + key);
    if (at == std::string::npos) return "";
    at += at == 0 && text->starts_with(key) ? key.size() : key.size() + 1;
    return text->substr(at, text->find('\0', at) - at);
}

bool is_alive(const ProcessFacts& facts) {
    return facts.state != 'Z' && facts.state != 'X' && facts.pid != ::getpid();
}

}  // namespace

ProcessView ProcessView::take(const std::unordered_set<int>& known) {
    ProcessView view;
    view.all_ = read_all_processes();
    for (std::size_t i = 0; i < view.all_.size(); ++i) {
        const ProcessFacts& facts = view.all_[i];
        view.by_pid_.emplace(facts.pid, i);
        view.by_parent_.emplace(facts.parent, facts.pid);
        view.by_group_.emplace(facts.group, facts.pid);
        view.by_session_.emplace(facts.session, facts.pid);
    }
    // Who loses its parent becomes the child of an ancestor of that parent; the supervisor is one.
    std::unordered_set<int> above;
    for (int pid = ::getpid(); pid > 0 && above.insert(pid).second;) {
        const ProcessFacts* facts = view.find(pid);
        pid = facts ? facts->parent : 0;
    }
    for (const ProcessFacts& facts : view.all_) {
        if (!above.contains(facts.parent) || above.contains(facts.pid) || known.contains(facts.pid)) continue;
        if (!is_alive(facts)) continue;
        ++view.environments_read_;
        if (std::string cookie = cookie_of(facts.pid); !cookie.empty()) {
            view.by_cookie_.emplace(std::move(cookie), facts.pid);
        }
    }
    return view;
}

const ProcessFacts* ProcessView::find(int pid) const {
    const auto found = by_pid_.find(pid);
    return found == by_pid_.end() ? nullptr : &all_[found->second];
}

std::vector<int> ProcessView::tree(int main_pid, const std::string& cookie) const {
    std::unordered_set<int> members;
    std::vector<int> pending;
    const auto add = [&](const auto& range) {
        for (auto at = range.first; at != range.second; ++at) {
            if (members.insert(at->second).second) pending.push_back(at->second);
        }
    };
    if (main_pid > 0) {
        members.insert(main_pid);
        pending.push_back(main_pid);
        add(by_group_.equal_range(main_pid));
        add(by_session_.equal_range(main_pid));
    }
    if (!cookie.empty()) add(by_cookie_.equal_range(cookie));
    std::vector<int> living;
    while (!pending.empty()) {
        const int pid = pending.back();
        pending.pop_back();
        add(by_parent_.equal_range(pid));
        const ProcessFacts* facts = find(pid);
        if (facts && is_alive(*facts)) living.push_back(pid);
    }
    return living;
}

std::vector<int> find_run(std::string_view run, const std::set<std::string>& spared) {
    std::vector<int> living;
    if (run.empty()) return living;
    for (const ProcessFacts& facts : read_all_processes()) {
        const std::string cookie = is_alive(facts) ? cookie_of(facts.pid) : "";
        if (cookie.starts_with(run) && !spared.contains(cookie)) living.push_back(facts.pid);
    }
    return living;
}

void kill_all(const std::vector<int>& pids) {
    for (const int pid : pids) ::kill(pid, SIGKILL);
}

}  // namespace havn::supervisor
