// Performs what the fleet decided: processes, their output, their ends.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <unordered_set>

#include "base/wall_time.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/inherited.h"
#include "io/net.h"
#include "supervisor/core/command.h"
#include "supervisor/shell/data_folder.h"
#include "supervisor/shell/port_owner.h"
#include "supervisor/shell/probe.h"
#include "supervisor/shell/supervisor_process.h"

extern char** environ;

namespace havn::supervisor {

static constexpr milliseconds group_pause{5};
static constexpr Duration search_after = seconds(1);     // of a start, for the port that it listens on
static constexpr Duration search_distance = seconds(1);  // between two of these searches
static constexpr std::size_t unexplained_max = 10'000;
static const std::string log_prefix = "log|";
static const std::string errors_prefix = "log-stderr|";

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
    keep_events();
    if (const Time next = fleet_.wake_at(); next != timer_.expiry()) timer_.expires_at(next);
    if (did_something) changed();
}

// One line of JSON for each change of state: `havn events`.
void SupervisorProcess::keep_events() {
    std::string lines;
    for (const Fleet::Transition& change : fleet_.take_transitions()) {
        lines += fmt::format(R"({{"time":"{}","name":"{}","instance":{},"kind":"{}",)"
                             R"("from":"{}","state":"{}","pid":{},"cause":{}}})"
                             "\n",
                             to_rfc3339(change.at), change.name, change.instance, name(change.role),
                             name(change.from), name(change.to),
                             change.pid == 0 ? "null" : std::to_string(change.pid),
                             Json(change.cause).dump(-1, ' ', false, Json::error_handler_t::replace));
    }
    // A full disk must not stop the supervisor.
    if (!lines.empty()) std::ignore = events_.write(lines);
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
    if (Result<> log = open_log(unit); !log) return log;
    Result<io::Fd> output = write_end(unit, log_prefix, request->account);
    if (!output) return std::unexpected(output.error());
    request->output = output->get();
    io::Fd errors;
    if (unit.role != Role::platform) {
        Result<io::Fd> end = write_end(unit, errors_prefix, request->account);
        if (!end) return std::unexpected(end.error());
        errors = std::move(*end);
        request->errors = errors.get();
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
    process.uid = request->account.uid;
    process.request = std::move(*request);
    process.request.output = process.request.errors = process.request.link = -1;
    process.by_shell = unit.role != Role::platform && process.request.arguments.front() == "/bin/sh";
    process.shell_stays = unit.role != Role::platform && parse_command(unit.program->command).shell_stays;
    process.status = std::make_shared<io::Descriptor>(loop_.executor(), spawned->status.release());
    process.pidfd = std::make_shared<io::Descriptor>(loop_.executor(), spawned->pidfd.release());
    fleet_.spawned(id, {spawned->pid, spawned->start_time, port, cookie}, now());
    note_in_journal(*fleet_.find(id));
    if (LogPipe* log = log_of(unit)) log->mark_start(fmt::format("started, pid {}", spawned->pid));
    loop_.spawn(watch_start(this, id, process.status));
    loop_.spawn(watch_exit(this, id, spawned->pid, process.pidfd));
    if (ours) connect_part(id, spawned->pid, std::move(ours));
    return {};
}

// One line at once; the whole table follows soon.
void SupervisorProcess::note_in_journal(const Unit& unit) {
    if (!journal_) {
        Result<io::Fd> opened = open_journal();
        if (!opened) return say(log::Level::error, opened.error().message);
        journal_ = std::move(*opened);
    }
    if (Result<> written = io::write_all(journal_.get(), spawned_line(unit)); !written)
        say(log::Level::error, "a start is not written down: " + written.error().message);
}

// What a process gets of the environment `havn up` was typed in: its language and its time zone, and where
// programs are found. Not the rest: it is one person's, with keys and tokens in it, and would stay for as
// long as the platform runs. As root PATH is the system's: the invoker's own programs are not for others.
static std::map<std::string, std::string> base_environment(Role role) {
    static constexpr std::string_view everyone[] = {"LANG=", "LC_", "TZ=", "PATH="};
    // How the parts log, and how a build with sanitizers reports.
    static constexpr std::string_view parts[] = {
        "HAVN_LOG=", "ASAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS="};
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

// The user a program runs as, where it may; as root `folder_owner` is whose folder it runs in.
Result<Account> SupervisorProcess::account_of(const Program& program,
                                              std::optional<uid_t>& folder_owner) const {
    Result<Account> account = account_for(program.user, program.directory, accounts_.app);
    if (!account || ::geteuid() != 0) return account;
    struct stat folder{};
    if (::stat(program.directory.c_str(), &folder) != 0) return fail_errno("folder " + program.directory);
    folder_owner = folder.st_uid;
    const Result<> may = may_run(program, {account->uid, folder.st_uid, accounts_.app.uid});
    if (!may) return std::unexpected(may.error());
    return account;
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
        Result<Account> account = account_of(*unit.program, request.folder_owner);
        if (!account) return std::unexpected(account.error());
        request.account = std::move(*account);
        request.arguments = parse_command(unit.program->command).arguments;
        request.directory = unit.program->directory;
        request.files_soft = files_soft_;
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

// One pipe of the unit's name and instance: the one that is there, or that the keeper kept, or a new one.
Result<int> SupervisorProcess::pipe_of(const std::string& stored_as) {
    if (store_.holds(stored_as)) return store_.borrow(stored_as);
    Result<io::Fd> made = make_log_pipe();
    if (!made) return std::unexpected(made.error());
    if (Result<> kept = store_.keep(stored_as, made->get()); !kept) return std::unexpected(kept.error());
    return store_.borrow(stored_as);
}

// The log of the unit's name and instance, read from now on if it was not yet.
Result<> SupervisorProcess::open_log(const Unit& unit) {
    const std::string label = log_label(unit);
    const io::RotatingFile::Limits limits{unit.program->log_bytes_max, unit.program->log_backups};
    const auto found = logs_.find(label);
    if (found != logs_.end() && found->second.limits.bytes == limits.bytes &&
        found->second.limits.backups == limits.backups) {
        return {};
    }
    logs_.erase(label);
    const bool is_part = unit.role == Role::platform;
    Result<int> output = pipe_of(log_prefix + label);
    if (!output) return std::unexpected(output.error());
    std::vector<LogPipe::Input> inputs{{*output, is_part ? "" : "stdout"}};
    if (!is_part) {
        Result<int> errors = pipe_of(errors_prefix + label);
        if (!errors) return std::unexpected(errors.error());
        inputs.push_back({*errors, "stderr"});
    }
    Log& log = logs_[label];
    log.limits = limits;
    log.pipe = std::make_unique<LogPipe>(loop_.executor(), label, "logs/" + label + ".log", limits, inputs,
                                         foreground_.get());
    return {};
}

// For a process of that account, which may open /dev/stdout anew: that asks for permission.
Result<io::Fd> SupervisorProcess::write_end(const Unit& unit, const std::string& prefix,
                                            const Account& account) {
    Result<io::Fd> end = open_write_end(store_.borrow(prefix + log_label(unit)));
    if (end && account.change && ::fchown(end->get(), account.uid, account.gid) != 0)
        return fail_errno("chown the log pipe");
    return end;
}

// Of a program; a part of the platform says itself what happens to it.
LogPipe* SupervisorProcess::log_of(const Unit& unit) {
    const auto log = logs_.find(log_label(unit));
    return unit.role != Role::platform && log != logs_.end() ? log->second.pipe.get() : nullptr;
}

void SupervisorProcess::perform_one(const Probe& effect) {
    const Unit* unit = fleet_.find(effect.unit);
    if (!unit || unit->pid == 0) return;
    if (unit->role == Role::platform)
        loop_.spawn(run_ping(this, unit->id, unit->pid, unit->program->health->timeout));
    else
        loop_.spawn(run_probe(this, unit->id, unit->pid, unit->port, unit->program->health));
}

// Whether a part still runs its loop: it answers over its link, or it is frozen.
io::Task<void> SupervisorProcess::run_ping(SupervisorProcess* self, UnitId unit, int pid,
                                           milliseconds timeout) {
    const auto asked = self->processes_.find(unit);
    if (asked == self->processes_.end() || !asked->second.link) co_return;
    const std::uint64_t before = asked->second.pongs;
    std::ignore = asked->second.link->send(to_json(link::Ping{}));
    co_await io::sleep_for(timeout);
    const Unit* pinged = self->fleet_.find(unit);
    const auto process = self->processes_.find(unit);
    if (!pinged || pinged->pid != pid || process == self->processes_.end()) co_return;
    const std::string found = fmt::format("no answer to a ping within {} ms", timeout.count());
    self->fleet_.probed(unit, process->second.pongs > before, found, now());
    self->perform();
}

// Before anybody is sent to a port: whether it is this program that answers there, and not another user's.
ProbeResult SupervisorProcess::check_listener(const Unit& unit, ProbeResult result) {
    const auto process = processes_.find(unit.id);
    if (process == processes_.end() || !process->second.uid) return result;  // one that was taken over
    const std::optional<PortOwner> owner = listener_on(unit.port);
    if (!owner || owner->uid == *process->second.uid) return result;
    if (has_socket({unit.pid}, owner->inode)) return result;  // it changed its user
    return {false, fmt::format("port {} was taken by another process, of uid {}", unit.port, owner->uid)};
}

// What a service has to do whose port nobody listens on. Where else it listens is looked up for those that
// take long, one in a second: that reads all of /proc.
std::string SupervisorProcess::why_refused(const Unit& unit) {
    std::string text =
        fmt::format("nothing listens on 127.0.0.1:{}: it must listen on 127.0.0.1:$PORT", unit.port);
    const auto process = processes_.find(unit.id);
    if (process == processes_.end()) return text;
    const Time now = io::now();
    if (now - unit.spawned_at >= search_after && now >= next_search_) {
        next_search_ = now + search_distance;
        std::unordered_set<int> known;
        for (const auto& [id, other] : fleet_.units()) {
            if (other.pid != 0) known.insert(other.pid);
        }
        process->second.listens_on =
            listens_on(ProcessView::take(known).tree(unit.pid, unit.cookie)).value_or("");
    }
    if (!process->second.listens_on.empty())
        text += fmt::format(", and listens on {} instead", process->second.listens_on);
    return text;
}

io::Task<void> SupervisorProcess::run_probe(SupervisorProcess* self, UnitId unit, int pid, std::uint16_t port,
                                            std::optional<HealthCheck> health) {
    ProbeResult result = co_await probe(port, health);
    const Unit* probed = self->fleet_.find(unit);
    if (!probed || probed->pid != pid) co_return;  // it was about an earlier life
    if (result.healthy && !probed->ready_now) result = self->check_listener(*probed, std::move(result));
    if (result.refused) result.found = self->why_refused(*probed);
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
    if (fleet_.has_slot(effect.name, effect.instance)) return;  // the log goes on
    std::string label = fmt::format("{}.{}", effect.name, effect.instance);
    if (!logs_.contains(label)) label = effect.name;  // a part has no number
    logs_.erase(label);
    store_.drop(log_prefix + label);
    store_.drop(errors_prefix + label);
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

// A descriptor less once the program has begun, or the reason why it did not.
io::Task<void> SupervisorProcess::watch_start(SupervisorProcess* self, UnitId unit,
                                              std::shared_ptr<io::Descriptor> status) {
    auto [error] = co_await status->async_wait(io::Descriptor::wait_read, io::result);
    const auto process = self->processes_.find(unit);
    if (error || process == self->processes_.end() || process->second.status != status) co_return;
    process->second.failure = spawn_failure(status->native_handle(), process->second.request);
    process->second.request = {};
    process->second.status.reset();
}

// The end of a unit's main process; comes from its pidfd or from SIGCHLD, whichever is first.
void SupervisorProcess::on_exit(UnitId id, int pid) {
    const Unit* unit = fleet_.find(id);
    if (!unit || unit->pid != pid) return;
    Process& process = processes_[id];
    if (!process.exit.text.empty()) return;
    // A shell that was told to end leaves at once; the program it ran has its stop_timeout.
    const bool lingers = process.shell_stays && unit->state == State::stopping;
    if (!lingers) ::kill(-pid, SIGKILL);  // while the unreaped main process keeps the number ours
    int status = 0;
    const bool ours = ::waitpid(pid, &status, WNOHANG) == pid;
    if (ours) {
        process.exit = exit_of(status);
    } else if (process.told_exit) {
        process.exit = *process.told_exit;
    } else {
        process.exit = Exit("not known: an earlier supervisor had started it");
        if (unexplained_.size() < unexplained_max) unexplained_[pid] = id;
    }
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
    if (process.status) process.failure = spawn_failure(process.status->native_handle(), process.request);
    if (process.failure) {
        error = process.failure->text();
    } else if (process.by_shell && process.exit.code == 127) {
        error = fmt::format("the shell did not find a command of '{}' (exit 127)", unit->program->command);
    }
    if (LogPipe* log = log_of(*unit)) log->mark("ended: " + (error.empty() ? process.exit.text : error));
    ended_.push_back({unit->label(), pid, unit->cookie, std::move(process.tree), 0});
    look_soon();
    if (process.link) process.link->close();
    store_.drop(fmt::format("link|{}", id));
    fleet_.ended(id, process.exit, error, now());
    perform();
}

// The keeper is the parent of what an earlier supervisor had started. Its word and the pidfd's come in any
// order.
void SupervisorProcess::on_told_exit(int pid, int status) {
    if (const Unit* unit = fleet_.find_pid(pid)) {
        processes_[unit->id].told_exit = exit_of(status);
        return;
    }
    const auto found = unexplained_.find(pid);
    if (found == unexplained_.end()) return;
    fleet_.exit_known(found->second, exit_of(status));
    unexplained_.erase(found);
    changed();
}

// Main processes are announced to their units; what else became our child is reaped and forgotten.
void SupervisorProcess::reap() {
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
        if (const Unit* owner = fleet_.find_pid(info.si_pid)) on_exit(owner->id, info.si_pid);
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
