// Performs what the fleet decided: processes, their output, their ends.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "io/clock.h"
#include "io/inherited.h"
#include "io/net.h"
#include "supervisor/core/command.h"
#include "supervisor/shell/probe.h"
#include "supervisor/shell/process_tree.h"
#include "supervisor/shell/supervisor_process.h"

extern char** environ;

namespace havn::supervisor {

static constexpr int sweep_rounds = 50;
static constexpr milliseconds sweep_pause{20};
static constexpr milliseconds group_pause{5};

static std::string log_label(const Unit& unit) {
    return unit.role == Role::platform ? unit.name : unit.label();
}

void SupervisorProcess::perform() {
    if (performing_) return;  // the outer call goes on with what was added
    performing_ = true;
    bool did_something = false;
    for (std::vector<Effect> effects = fleet_.take_effects(); !effects.empty();
         effects = fleet_.take_effects()) {
        did_something = true;
        for (const Effect& effect : effects) {
            std::visit([this](const auto& what) { perform_one(what); }, effect);
        }
    }
    performing_ = false;
    if (const Time next = fleet_.wake_at(); next != timer_.expiry()) timer_.expires_at(next);
    if (did_something) changed();
}

void SupervisorProcess::perform_one(const Spawn& effect) {
    const Unit* unit = fleet_.find(effect.unit);
    if (!unit || unit->state != State::starting) return;
    if (Result<> started = start_process(*unit); !started) {
        fleet_.ended(effect.unit, "", started.error().text(), now());
    }
}

Result<> SupervisorProcess::start_process(const Unit& unit) {
    const UnitId id = unit.id;
    std::uint16_t port = 0;
    if (unit.role == Role::service) {
        Result<std::uint16_t> found = free_port();
        if (!found) return std::unexpected(found.error());
        port = *found;
    }
    const std::string cookie = fmt::format("{}.{:016x}", run_, ports_.next());
    Result<SpawnRequest> request = request_for(unit, port, cookie);
    if (!request) return std::unexpected(request.error());
    Result<int> output = log_of(unit);
    if (!output) return std::unexpected(output.error());
    request->output = *output;
    // A program may open /dev/stdout anew, which asks for permission.
    if (request->account.change && ::fchown(*output, request->account.uid, request->account.gid) != 0) {
        return fail_errno("chown the log pipe");
    }
    io::Fd ours, theirs, questions;
    if (unit.role == Role::platform) {
        Result<std::pair<io::Fd, io::Fd>> ends = io::Link::make_pair();
        if (!ends) return std::unexpected(ends.error());
        ours = std::move(ends->first);
        theirs = std::move(ends->second);
        request->link = theirs.get();
        if (Result<> kept = store_.keep(fmt::format("link|{}", id), ours.get()); !kept) return kept;
        Result<io::Fd> socket = listening_->for_questions(unit.name);
        if (!socket) return std::unexpected(socket.error());
        questions = std::move(*socket);
        request->rpc = questions.get();
    }
    Result<Spawned> spawned = spawn(*request);
    if (!spawned) return std::unexpected(spawned.error());
    Process& process = processes_[id];
    process.request = std::move(*request);
    process.shell_stays = unit.role != Role::platform && parse_command(unit.program->command).shell_stays;
    process.status = std::move(spawned->status);
    process.pidfd = std::make_shared<io::Descriptor>(loop_.executor(), spawned->pidfd.release());
    fleet_.spawned(id, {spawned->pid, spawned->start_time, port, cookie}, now());
    loop_.spawn(watch_exit(this, id, spawned->pid, process.pidfd));
    if (ours) connect_part(id, spawned->pid, std::move(ours));
    return {};
}

// What a process gets of the environment `havn up` was typed in: its language and its time zone, and where
// programs are found. Not the rest: it is one person's, with keys and tokens in it, and would stay for as
// long as the platform runs. As root PATH is the system's: the invoker's own programs are not for others.
static std::map<std::string, std::string> base_environment(Role role) {
    static constexpr std::string_view everyone[] = {"LANG=", "LC_", "TZ=", "PATH="};
    // How the parts log, and how a build with sanitizers reports.
    static constexpr std::string_view parts[] = {"HAVN_LOG=", "ASAN_OPTIONS=", "LSAN_OPTIONS=",
                                                 "TSAN_OPTIONS=", "UBSAN_OPTIONS="};
    std::map<std::string, std::string> variables;
    for (char** at = environ; *at; ++at) {
        const std::string_view text(*at);
        const auto is_named = [text](std::string_view start) { return text.starts_with(start); };
        const bool passes = std::ranges::any_of(everyone, is_named) ||
                            (role == Role::platform && std::ranges::any_of(parts, is_named));
        const std::size_t end = text.find('=');
        if (passes && end != std::string_view::npos)
            variables[std::string(text.substr(0, end))] = text.substr(end + 1);
    }
    if (::geteuid() == 0 || !variables.contains("PATH"))
        variables["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    return variables;
}

Result<SpawnRequest> SupervisorProcess::request_for(const Unit& unit, std::uint16_t port,
                                                    const std::string& cookie) {
    SpawnRequest request;
    std::map<std::string, std::string> variables = base_environment(unit.role);
    if (unit.role == Role::platform) {
        request.account = accounts_.of_part(unit.name);
        request.confined = true;
        request.executable = executable_.get();
        request.arguments = {"havn", unit.name};
        request.directory = ".";
        variables[io::link_variable] = std::to_string(link_descriptor);
        variables[io::rpc_variable] = std::to_string(rpc_descriptor);
        variables[io::callers_variable] =
            std::to_string(unit.name == "control" ? ::geteuid() : accounts_.control.uid);
        if (unit.name == "control" && accounts_.control.change) {
            variables[io::groups_variable] =
                fmt::format("{} {}", accounts_.gateway.gid, accounts_.broker.gid);
        }
    } else {
        Result<Account> account = account_for(unit.program->user, unit.program->directory, accounts_.app);
        if (!account) return std::unexpected(account.error());
        request.account = std::move(*account);
        request.arguments = parse_command(unit.program->command).arguments;
        request.directory = unit.program->directory;
    }
    variables["HOME"] = request.account.home;
    variables["USER"] = variables["LOGNAME"] = request.account.name;
    variables["SHELL"] = request.account.shell;
    for (const auto& [name, value] : unit.program->environment) variables[name] = value;
    if (unit.role != Role::platform) {
        variables["HAVN_NAME"] = unit.name;
        variables["HAVN_INSTANCE"] = std::to_string(unit.instance);
    }
    if (port != 0) variables["PORT"] = std::to_string(port);
    variables[std::string(cookie_variable)] = cookie;
    for (const auto& [name, value] : variables) request.environment.push_back(name + "=" + value);
    return request;
}

Result<std::uint16_t> SupervisorProcess::free_port() {
    for (;;) {
        Result<std::uint16_t> port = io::find_free_port(next_port_);
        if (!port) return port;
        next_port_ = static_cast<std::uint16_t>(*port + 1);
        if (!fleet_.uses_port(*port)) return port;  // one that is given away and not yet listened on
    }
}

// The pipe of the unit's name and instance: the present one, the one the keeper kept, or a new one.
Result<int> SupervisorProcess::log_of(const Unit& unit) {
    const std::string label = log_label(unit);
    const io::RotatingFile::Limits limits{unit.program->log_bytes_max, unit.program->log_backups};
    const auto found = logs_.find(label);
    const bool same = found != logs_.end() && found->second.limits.bytes == limits.bytes &&
                      found->second.limits.backups == limits.backups;
    if (same) return found->second.pipe->write_end();
    logs_.erase(label);
    const std::string reader = "log-read|" + label;
    const std::string writer = "log-write|" + label;
    if (!store_.holds(reader) || !store_.holds(writer)) {
        Result<PipeEnds> made = make_log_pipe();
        if (!made) return std::unexpected(made.error());
        if (Result<> kept = store_.keep(reader, made->read.get()); !kept)
            return std::unexpected(kept.error());
        if (Result<> kept = store_.keep(writer, made->write.get()); !kept)
            return std::unexpected(kept.error());
    }
    Result<io::Fd> read = store_.duplicate(reader);
    if (!read) return std::unexpected(read.error());
    Result<io::Fd> write = store_.duplicate(writer);
    if (!write) return std::unexpected(write.error());
    Log& log = logs_[label];
    log.limits = limits;
    log.pipe = std::make_unique<LogPipe>(loop_.executor(), label, "logs/" + label + ".log", limits,
                                         PipeEnds{std::move(*read), std::move(*write)}, foreground_.get());
    return log.pipe->write_end();
}

void SupervisorProcess::perform_one(const Terminate& effect) {
    const Unit* unit = fleet_.find(effect.unit);
    if (!unit || unit->pid == 0) return;
    // The main process ends its own children in its own way (Celery's pool, gunicorn's workers). A shell in
    // its place would not: then all of the group is told.
    Process& process = processes_[unit->id];
    for (const int pid : find_tree(unit->pid, unit->cookie)) {
        const std::optional<ProcessFacts> facts = pid == unit->pid ? std::nullopt : read_process(pid);
        if (facts) process.tree.push_back(*facts);
    }
    const bool group = process.shell_stays;
    ::kill(group ? -unit->pid : unit->pid, SIGTERM);
}

void SupervisorProcess::perform_one(const KillTree& effect) {
    const Unit* unit = fleet_.find(effect.unit);
    if (!unit || unit->pid == 0) return;
    kill_all(find_tree(unit->pid, unit->cookie));
    ::kill(-unit->pid, SIGKILL);
}

void SupervisorProcess::perform_one(const Probe& effect) {
    const Unit* unit = fleet_.find(effect.unit);
    if (unit && unit->pid != 0)
        loop_.spawn(run_probe(this, unit->id, unit->pid, unit->port, unit->program->health));
}

io::Task<void> SupervisorProcess::run_probe(SupervisorProcess* self, UnitId unit, int pid, std::uint16_t port,
                                            std::optional<HealthCheck> health) {
    const ProbeResult result = co_await probe(port, health);
    const Unit* probed = self->fleet_.find(unit);
    if (!probed || probed->pid != pid) co_return;  // it was about an earlier life
    const std::string error = probed->error;
    self->fleet_.probed(unit, result.healthy, result.found, now());
    probed = self->fleet_.find(unit);
    if (probed && probed->error != error) self->changed();
    self->perform();
}

void SupervisorProcess::perform_one(const Publish&) {
    send_endpoints();
}

void SupervisorProcess::perform_one(const Forget& effect) {
    processes_.erase(effect.unit);
    store_.drop(fmt::format("link|{}", effect.unit));
    for (const auto& [id, unit] : fleet_.units()) {
        if (unit.label() == effect.label) return;  // the log goes on
    }
    std::string label = effect.label;
    if (!logs_.contains(label)) label = label.substr(0, label.rfind('.'));  // a part has no number
    logs_.erase(label);
    store_.drop("log-read|" + label);
    store_.drop("log-write|" + label);
}

void SupervisorProcess::perform_one(const Say& effect) {
    say(effect.level, effect.text);
}

void SupervisorProcess::perform_one(const Finished&) {
    loop_.spawn(finish(this));
}

io::Task<void> SupervisorProcess::watch_exit(SupervisorProcess* self, UnitId unit, int pid,
                                             std::shared_ptr<io::Descriptor> pidfd) {
    auto [error] = co_await pidfd->async_wait(io::Descriptor::wait_read, io::result);
    if (!error) self->on_exit(unit, pid);
}

static std::string exit_text(int status) {
    if (WIFEXITED(status)) return fmt::format("exit {}", WEXITSTATUS(status));
    return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
}

// The end of a unit's main process; comes from its pidfd or from SIGCHLD, whichever is first.
void SupervisorProcess::on_exit(UnitId id, int pid) {
    const Unit* unit = fleet_.find(id);
    if (!unit || unit->pid != pid) return;
    Process& process = processes_[id];
    if (!process.exit.empty()) return;
    // A shell that was told to end leaves at once; the program it ran has its stop_timeout.
    const bool lingers = process.shell_stays && unit->state == State::stopping;
    if (!lingers) ::kill(-pid, SIGKILL);  // while the unreaped main process keeps the number ours
    int status = 0;
    const bool ours = ::waitpid(pid, &status, WNOHANG) == pid;
    process.exit = ours ? exit_text(status) : "not known: an earlier supervisor had started it";
    if (!lingers) return on_life_over(id, pid);
    loop_.spawn(wait_for_group(this, id, pid));
}

io::Task<void> SupervisorProcess::wait_for_group(SupervisorProcess* self, UnitId id, int pid) {
    while (::kill(-pid, 0) == 0) co_await io::sleep_for(group_pause);
    self->on_life_over(id, pid);
}

void SupervisorProcess::on_life_over(UnitId id, int pid) {
    const Unit* unit = fleet_.find(id);
    if (!unit || unit->pid != pid) return;
    Process process = std::move(processes_[id]);
    processes_.erase(id);
    std::string error;
    if (process.status) {
        if (std::optional<Error> failure = spawn_failure(process.status.get(), process.request))
            error = failure->text();
        if (error.empty() && process.request.arguments.front() == "/bin/sh" && process.exit == "exit 127") {
            error =
                fmt::format("the shell did not find a command of '{}' (exit 127)", unit->program->command);
        }
    }
    const std::string label = unit->label();
    const std::string cookie = unit->cookie;
    if (process.link) process.link->close();
    store_.drop(fmt::format("link|{}", id));
    fleet_.ended(id, process.exit, error, now());
    perform();
    loop_.spawn(sweep(this, label, pid, cookie, std::move(process.tree)));
}

// Ends what left the group (setsid, double fork); off the path of the restart, which has its own cookie.
// `tree` are those that were seen as descendants, however they hide now.
io::Task<void> SupervisorProcess::sweep(SupervisorProcess* self, std::string label, int pid,
                                        std::string cookie, std::vector<ProcessFacts> tree) {
    for (int round = 0; round < sweep_rounds; ++round) {
        std::vector<int> left = find_tree(pid, cookie);
        for (const ProcessFacts& facts : tree) {
            const std::optional<ProcessFacts> present = read_process(facts.pid);
            if (present && present->start_time == facts.start_time && present->state != 'Z')
                left.push_back(facts.pid);
        }
        if (left.empty()) co_return;
        if (round == 0) {
            self->say(log::Level::info, fmt::format("{} left processes behind; ending them", label));
        }
        kill_all(left);
        co_await io::sleep_for(sweep_pause);
    }
}

// Main processes are announced to their units; what else became our child is reaped and forgotten.
void SupervisorProcess::reap() {
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
        UnitId owner = 0;
        for (const auto& [id, unit] : fleet_.units()) {
            if (unit.pid == info.si_pid) owner = id;
        }
        if (owner != 0) on_exit(owner, info.si_pid);
        ::waitpid(info.si_pid, nullptr, WNOHANG);
    }
}

void SupervisorProcess::say(log::Level level, std::string_view text) {
    if (!log::wanted(level)) return;
    static constexpr std::string_view names[] = {"debug", "info", "warning", "error"};
    const std::string_view name = names[static_cast<int>(level)];
    // A full disk must not stop the supervisor; the watching person still sees the line.
    std::ignore =
        own_log_.write(fmt::format("{} supervisor {}: {}\n", to_rfc3339(io::wall_now()), name, text));
    if (foreground_) foreground_->line("supervisor", text);
}

}  // namespace havn::supervisor
