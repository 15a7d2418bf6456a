#include "supervisor/runtime/process_runtime.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>

#include "io/clock.h"
#include "io/file.h"
#include "io/net.h"
#include "supervisor/core/command.h"
#include "supervisor/runtime/launch.h"
#include "supervisor/runtime/port_owner.h"

namespace havn::supervisor {

namespace {

constexpr milliseconds group_pause{5};
constexpr Duration search_after = seconds(1);     // of a start, for the port that it listens on
constexpr Duration search_distance = seconds(1);  // between two of these searches
constexpr std::size_t unexplained_max = 10'000;
constexpr std::string_view host_prefix = "127.0.0.1:";

std::string address_of(std::uint16_t port) {
    return fmt::format("{}{}", host_prefix, port);
}

// 0 for an address that is none of ours.
std::uint16_t port_of(std::string_view address) {
    std::uint16_t port = 0;
    if (!address.starts_with(host_prefix)) return 0;
    address.remove_prefix(host_prefix.size());
    std::from_chars(address.data(), address.data() + address.size(), port);
    return port;
}

// A process may open /dev/stdout anew, and that asks for permission.
Result<> give_pipes(const StartPipes& pipes, const Account& account) {
    if (!account.change) return {};
    for (const int pipe : {pipes.output, pipes.errors}) {
        if (pipe >= 0 && ::fchown(pipe, account.uid, account.gid) != 0) {
            return fail_errno("chown the log pipe");
        }
    }
    return {};
}

// Resident bytes and time on a processor of one process, from proc(5).
void add_usage(int pid, Usage& usage) {
    const Result<std::string> statm = io::read_file(fmt::format("/proc/{}/statm", pid));
    const Result<std::string> stat = io::read_file(fmt::format("/proc/{}/stat", pid));
    if (!statm || !stat) return;
    unsigned long long total = 0, resident = 0, user = 0, system = 0;
    const std::size_t fields = stat->rfind(')');
    if (std::sscanf(statm->c_str(), "%llu %llu", &total, &resident) != 2 || fields == std::string::npos) {
        return;
    }
    if (std::sscanf(stat->c_str() + fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                    &user, &system) != 2) {
        return;
    }
    usage.memory_bytes += resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    usage.cpu_time +=
        milliseconds((user + system) * 1'000 / static_cast<unsigned long long>(::sysconf(_SC_CLK_TCK)));
    ++usage.processes;
}

}  // namespace

ProcessRuntime::ProcessRuntime(const Context& context, int executable, std::string run, std::uint64_t seed)
    : context_(context),
      executable_(executable),
      run_(std::move(run)),
      random_(seed),
      next_port_(static_cast<std::uint16_t>(10'000 + random_.below(22'000))),
      ends_(context.loop, lives_, [this](const std::string& label) {
          context_.note(fmt::format("{} left processes behind; ending them", label));
      }) {}

Result<> ProcessRuntime::start(const Instance& instance, const StartPipes& pipes) {
    const bool is_part = instance.role == Role::platform;
    Started started;
    if (instance.role == Role::service) {
        Result<std::uint16_t> port = choose_port(instance.id);
        if (!port) return std::unexpected(port.error());
        started.address = address_of(*port);
    }
    started.handle = fmt::format("{}.{:016x}", run_, random_.next());
    Result<SpawnRequest> request =
        launch_request(instance, port_of(started.address), started.handle, context_.accounts, executable_);
    if (!request) return std::unexpected(request.error());
    if (Result<> owned = give_pipes(pipes, request->account); !owned) return owned;
    request->output = pipes.output;
    request->errors = pipes.errors;
    request->link = pipes.link;
    request->rpc = pipes.questions;
    Result<Spawned> spawned = spawn(*request);
    if (!spawned) return std::unexpected(spawned.error());
    started.pid = spawned->pid;
    started.start_time = spawned->start_time;
    auto life = std::make_shared<ProcessLife>();
    life->instance = instance.id;
    life->label = instance.label();
    life->command = instance.program->command;
    life->started = started;
    life->began = io::now();
    life->uid = request->account.uid;
    life->request = std::move(*request);
    life->request.output = life->request.errors = life->request.link = life->request.rpc = -1;
    life->by_shell = !is_part && life->request.arguments.front() == "/bin/sh";
    life->shell_stays = !is_part && parse_command(life->command).shell_stays;
    life->status = std::make_shared<io::Descriptor>(context_.loop.executor(), spawned->status.release());
    life->pidfd = std::make_shared<io::Descriptor>(context_.loop.executor(), spawned->pidfd.release());
    context_.loop.spawn(watch_start(this, life));
    watch(std::move(life));
    context_.observer.life_started(instance.id, started);
    return {};
}

void ProcessRuntime::watch(ProcessLifePtr life) {
    lives_.add(life);
    context_.loop.spawn(watch_exit(this, std::move(life)));
}

bool ProcessRuntime::adopt(const Instance& instance) {
    if (const std::uint16_t port = port_of(instance.life.address); port != 0) ports_[instance.id] = port;
    const int pid = instance.life.pid;
    if (pid == 0 || start_time_of(pid) != instance.life.start_time) return false;
    io::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) return false;
    auto life = std::make_shared<ProcessLife>();
    life->instance = instance.id;
    life->label = instance.label();
    life->command = instance.program->command;
    life->started = instance.life;
    life->began = io::now();
    life->shell_stays = instance.role != Role::platform && parse_command(life->command).shell_stays;
    life->told_to_end = instance.state == State::stopping;
    life->pidfd = std::make_shared<io::Descriptor>(context_.loop.executor(), pidfd.release());
    watch(std::move(life));
    return true;
}

void ProcessRuntime::forget(InstanceId instance) {
    ports_.erase(instance);
}

void ProcessRuntime::end_unknown(const std::set<std::string>& known_handles) {
    kill_all(find_run(run_, known_handles));
}

Result<std::uint16_t> ProcessRuntime::choose_port(InstanceId instance) {
    ports_.erase(instance);
    for (;;) {
        Result<std::uint16_t> port = io::find_free_port(next_port_);
        if (!port) return port;
        next_port_ = static_cast<std::uint16_t>(*port + 1);
        // One that is given away may not be listened on yet.
        const bool given =
            std::ranges::any_of(ports_, [&port](const auto& entry) { return entry.second == *port; });
        if (given) continue;
        ports_[instance] = *port;
        return port;
    }
}

void ProcessRuntime::terminate(InstanceId instance) {
    const ProcessLifePtr life = lives_.find(instance);
    if (!life) return;
    life->told_to_end = true;
    ends_.terminate(life);
}

void ProcessRuntime::kill(InstanceId instance) {
    const ProcessLifePtr life = lives_.find(instance);
    if (!life) return;
    life->told_to_end = false;  // nothing of it has any time left
    ends_.kill(life);
}

io::Task<void> ProcessRuntime::watch_exit(ProcessRuntime* self, ProcessLifePtr life) {
    auto [error] = co_await life->pidfd->async_wait(io::Descriptor::wait_read, io::result);
    if (!error) self->on_exit(life);
}

// A descriptor less once the program has begun, or the reason why it did not.
io::Task<void> ProcessRuntime::watch_start(ProcessRuntime* self, ProcessLifePtr life) {
    const std::shared_ptr<io::Descriptor> status = life->status;
    auto [error] = co_await status->async_wait(io::Descriptor::wait_read, io::result);
    if (error || !self->lives_.holds(life) || life->status != status) co_return;
    life->failure = spawn_failure(status->native_handle(), life->request);
    life->request = {};
    life->status.reset();
}

// The end of a life's main process; comes from its pidfd or from SIGCHLD, whichever is first.
void ProcessRuntime::on_exit(const ProcessLifePtr& life) {
    if (!lives_.holds(life) || !life->exit.text.empty()) return;
    const int pid = life->started.pid;
    // A shell that was told to end leaves at once; the program it ran has its stop_timeout.
    const bool lingers = life->shell_stays && life->told_to_end;
    if (!lingers) ::kill(-pid, SIGKILL);  // while the unreaped main process keeps the number ours
    int status = 0;
    const bool ours = ::waitpid(pid, &status, WNOHANG) == pid;
    if (ours) {
        life->exit = exit_of(status);
    } else if (life->told_exit) {
        life->exit = *life->told_exit;
    } else {
        life->exit = Exit("not known: an earlier supervisor had started it");
        if (unexplained_.size() < unexplained_max) unexplained_[pid] = life->instance;
    }
    if (!lingers) return on_life_over(life);
    context_.loop.spawn(wait_for_group(this, life));
}

io::Task<void> ProcessRuntime::wait_for_group(ProcessRuntime* self, ProcessLifePtr life) {
    while (::kill(-life->started.pid, 0) == 0) co_await io::sleep_for(group_pause);
    self->on_life_over(life);
}

void ProcessRuntime::on_life_over(const ProcessLifePtr& given) {
    const ProcessLifePtr life = given;
    if (!lives_.holds(life)) return;
    lives_.remove(*life);
    std::string error;
    if (life->status) life->failure = spawn_failure(life->status->native_handle(), life->request);
    if (life->failure) {
        error = life->failure->text();
    } else if (life->by_shell && life->exit.code == 127) {
        error = fmt::format("the shell did not find a command of '{}' (exit 127)", life->command);
    }
    ends_.sweep(*life);
    context_.observer.life_ended(life->instance, life->exit, error);
}

void ProcessRuntime::told_exit(int pid, int status) {
    if (const ProcessLifePtr life = lives_.find_pid(pid)) {
        life->told_exit = exit_of(status);
        return;
    }
    const auto found = unexplained_.find(pid);
    if (found == unexplained_.end()) return;
    context_.observer.exit_known(found->second, exit_of(status));
    unexplained_.erase(found);
}

void ProcessRuntime::reap() {
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
        if (const ProcessLifePtr life = lives_.find_pid(info.si_pid)) on_exit(life);
        ::waitpid(info.si_pid, nullptr, WNOHANG);
    }
}

std::vector<int> ProcessRuntime::leftovers() const {
    std::vector<int> left = find_run(run_);
    for (const ProcessFacts& facts : read_all_processes()) {
        if (facts.parent == ::getpid() && facts.state != 'Z') left.push_back(facts.pid);
    }
    return left;
}

// Another user of the host may have been quicker to listen on the port.
std::optional<std::string> ProcessRuntime::impostor(InstanceId instance) {
    const ProcessLifePtr life = lives_.find(instance);
    if (!life || !life->uid) return std::nullopt;  // one that was taken over was asked before
    const std::uint16_t port = port_of(life->started.address);
    const std::optional<PortOwner> owner = listener_on(port);
    if (!owner || owner->uid == *life->uid) return std::nullopt;
    if (has_socket({life->started.pid}, owner->inode)) return std::nullopt;  // it changed its user
    return fmt::format("port {} was taken by another process, of uid {}", port, owner->uid);
}

// Looked up for those that take long, one in a second: that reads all of /proc.
std::string ProcessRuntime::answers_elsewhere(InstanceId instance) {
    const ProcessLifePtr life = lives_.find(instance);
    if (!life) return "";
    const Time now = io::now();
    if (now - life->began >= search_after && now >= next_search_) {
        next_search_ = now + search_distance;
        const ProcessView view = ProcessView::take(lives_.pids());
        life->answers_elsewhere = listens_on(view.tree(life->started.pid, life->started.handle)).value_or("");
    }
    return life->answers_elsewhere;
}

std::optional<Usage> ProcessRuntime::usage(InstanceId instance) {
    const ProcessLifePtr life = lives_.find(instance);
    if (!life) return std::nullopt;
    Usage usage;
    const ProcessView view = ProcessView::take(lives_.pids());
    for (const int pid : view.tree(life->started.pid, life->started.handle)) add_usage(pid, usage);
    return usage;
}

}  // namespace havn::supervisor
