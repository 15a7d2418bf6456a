#include "supervisor/shell/supervisor_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "io/clock.h"
#include "io/file.h"
#include "supervisor/keeper/descriptor_limit.h"
#include "supervisor/keeper/keeper_handover.h"
#include "supervisor/keeper/own_file.h"
#include "supervisor/shell/data_folder.h"
#include "supervisor/shell/leftovers.h"
#include "supervisor/shell/moment.h"
#include "supervisor/shell/supervisor.h"

namespace havn::supervisor {

namespace {

constexpr int sweep_rounds = 100;
constexpr milliseconds sweep_pause{20};
constexpr seconds logs_patience{5};  // for a disk that hangs, when this process ends
constexpr const char* own_log = "logs/supervisor.log";

std::uint64_t random_number() {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) {
        number = static_cast<std::uint64_t>(io::now().time_since_epoch().count());
    }
    return number;
}

std::map<int, int> exits_from(const Json& message) {
    std::map<int, int> exits;
    for (const Json& entry : message.value("exits", Json::array())) {
        if (!entry.is_array() || entry.size() != 2) continue;
        const std::optional<int> pid = integer_of<int>(entry[0], 1), status = integer_of<int>(entry[1]);
        if (pid && status) exits[*pid] = *status;
    }
    return exits;
}

}  // namespace

SupervisorProcess::SupervisorProcess(Options options, io::Fd keeper)
    : options_(std::move(options)),
      keeper_(loop_.executor(), std::move(keeper)),
      timer_(loop_.executor(), Time::max()),
      logs_finished_(loop_.executor(), Time::max()),
      signals_(loop_.context(), SIGTERM, SIGINT, SIGHUP) {
    signals_.add(SIGCHLD);
    store_.set_keeper(&keeper_);
}

int SupervisorProcess::run() {
    loop_.spawn(start(this));
    loop_.run();
    return exit_code_;
}

void SupervisorProcess::refuse(const Error& error) {
    std::fprintf(stderr, "havn: %s\n", error.text().c_str());
    exit_code_ = 1;
    loop_.stop();
}

io::Task<void> SupervisorProcess::start(SupervisorProcess* self) {
    for (;;) {
        Result<io::Link::Message> message = co_await self->keeper_.receive();
        if (!message) co_return self->refuse(message.error());
        const std::string type = message->body.value("type", "");
        if (type == "begin") break;
        if (type == "exits") self->exits_ = exits_from(message->body);
        if (type != "kept") continue;
        if (message->descriptors_lost) {
            co_return self->refuse({Error::Kind::unavailable,
                                    "there is no room for the descriptors of the platform that runs",
                                    "raise the limit of open files (RLIMIT_NOFILE)"});
        }
        const Json& names = message->body["names"];
        for (std::size_t i = 0; i < names.size() && i < message->descriptors.size(); ++i) {
            self->store_.add_kept(names[i].get<std::string>(), std::move(message->descriptors[i]));
        }
    }
    const Result<bool> continues = self->enter_folder();
    if (!continues) co_return self->refuse(continues.error());
    if (Result<> built = self->build(*continues); !built) co_return self->refuse(built.error());
    if (!*continues) co_await end_leftovers(self);
    self->loop_.spawn(watch_signals(self));
    self->take_over(*continues);
    self->finish();
    self->platform_->state.changed();
    self->loop_.spawn(watch_time(self));
    self->loop_.spawn(watch_keeper(self));
    std::ignore = self->keeper_.send({{"type", "started"}});
    if (!self->options_.foreground) redirect_standard_streams(own_log);
}

Result<bool> SupervisorProcess::enter_folder() {
    if (Result<> entered = enter_data_folder(options_.data); !entered) {
        return std::unexpected(entered.error());
    }
    const bool continues = store_.holds("lock");
    if (!continues) {
        // Before anything else is touched: it may be another platform's that runs.
        if (Result<> made = io::make_folder("run", 0700); !made) return std::unexpected(made.error());
        Result<io::Fd> lock = lock_data_folder(options_.data);
        if (!lock) return std::unexpected(lock.error());
        if (Result<> kept = store_.keep("lock", lock->get()); !kept) return std::unexpected(kept.error());
    }
    Result<io::Fd> lock = store_.duplicate("lock");
    if (!lock) return std::unexpected(lock.error());
    if (Result<> signed_ = sign_lock(lock->get()); !signed_) return std::unexpected(signed_.error());
    return continues;
}

// Keeper and supervisor died together: what they had started runs on with nobody reading its output.
io::Task<void> SupervisorProcess::end_leftovers(SupervisorProcess* self) {
    for (int round = 0; round < sweep_rounds; ++round) {
        const std::vector<int> left = find_leftovers();
        if (left.empty()) co_return;
        if (round == 0) {
            self->platform_->log.say(
                log::Level::warning,
                fmt::format("{} processes are left from a platform whose keeper and supervisor died; "
                            "ending them",
                            left.size()));
        }
        kill_all(left);
        co_await io::sleep_for(sweep_pause);
    }
}

// What the supervisor before left, where there was one. A platform that runs on without it is a loss.
Result<SavedState> SupervisorProcess::find_saved() {
    const Result<std::string> text = read_own_file(state_file);
    const Result<Json> json = text ? parse_json(*text) : std::unexpected(text.error());
    Result<SavedState> saved = json ? saved_state_from_json(*json) : std::unexpected(json.error());
    if (!saved) return saved;
    const char* const journal = saved->base == 0 ? first_journal_file : journal_file;
    if (const Result<std::string> lines = read_own_file(journal)) add_journal(*saved, *lines);
    return saved;
}

Result<> SupervisorProcess::build(bool continues) {
    Result<Accounts> accounts = platform_accounts(options_.data);
    if (!accounts) return std::unexpected(accounts.error());
    if (Result<> prepared = prepare_folders(options_.data, *accounts); !prepared) return prepared;
    Result<io::Fd> executable = io::open_file("/proc/self/exe", O_RDONLY);
    if (!executable) return std::unexpected(executable.error());
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    Result<SavedState> saved = continues ? find_saved() : fail(Error::Kind::not_found, "");
    PlatformRows rows{{::getppid(), 0, io::wall_now()}, {::getpid(), 0, io::wall_now()}};
    if (saved) rows = saved->platform.next(::getppid(), ::getpid(), io::wall_now());
    const int own_binary = executable->get();
    platform_ = std::make_unique<Platform>(Platform::Setup{
        .loop = loop_,
        .store = store_,
        .turn = *this,
        .runtime_observer = *this,
        .parts_observer = *this,
        .options = options_,
        .accounts = std::move(*accounts),
        .executable = std::move(*executable),
        .run = saved ? saved->run : fmt::format("{:016x}{:016x}", random_number(), random_number()),
        .base = saved ? saved->base : 0,
        .rows = rows,
        .seed = random_number(),
        .replace = [this](const std::string& process) { loop_.spawn(replace(this, process)); }});
    if (saved) {
        saved_ = std::move(*saved);
        return {};
    }
    if (Result<> kept = store_.keep("run", own_binary); !kept) {
        platform_->log.say(log::Level::error, kept.error().message);
    }
    if (continues) {
        platform_->log.say(log::Level::error, "the process table is lost: " + saved.error().message);
    }
    return {};
}

void SupervisorProcess::take_over(bool continues) {
    Platform& platform = *platform_;
    Adoption adoption(platform.table, platform.runtime);
    if (saved_) {
        adoption.adopt(*saved_, moment(), [this](const Instance& part) { return reconnect(part); });
        for (const auto& [id, instance] : platform.table.instances()) {
            // Also of one that is dead: what it said last is still in the pipe.
            if (Result<> log = platform.logs.open(instance); !log) {
                platform.log.say(log::Level::error, log.error().message);
            }
        }
        platform.log.say(log::Level::warning,
                         fmt::format("a new supervisor (pid {}) has taken over {} processes", ::getpid(),
                                     adoption.alive()));
        saved_.reset();
    }
    platform.state.write_base();
    platform.commands.load_accepted(continues);
    const ExitOf exit_of_pid = [this](int pid) {
        const auto exit = exits_.find(pid);
        return exit == exits_.end() ? std::nullopt : std::optional(exit_of(exit->second));
    };
    adoption.report_ends(exit_of_pid, moment());
    exits_.clear();
}

// A part that was taken over has what it was sent. Its one word that it is ready may have died with the
// supervisor that heard it: asked, it says so again.
bool SupervisorProcess::reconnect(const Instance& part) {
    if (!platform_->parts.connect(part.id, part.name)) return false;
    if (part.state == State::starting) {
        std::ignore = platform_->parts.to(part.id)->send(to_json(link::Ping{}));
    }
    return true;
}

io::Task<void> SupervisorProcess::watch_keeper(SupervisorProcess* self) {
    for (;;) {
        Result<io::Link::Message> message = co_await self->keeper_.receive();
        if (!message) break;
        self->on_keeper(message->body);
    }
    if (self->platform_->table.stopping()) co_return;
    self->platform_->log.say(
        log::Level::warning,
        "the keeper ended; this process becomes the keeper and starts the next supervisor");
    co_await self->finish_logs();
    self->platform_->state.write_now();
    become_keeper(self->options_, self->store_.all());
    log::error("cannot become the keeper: {}", fail_errno("execute").error().message);
}

void SupervisorProcess::on_keeper(const Json& message) {
    const std::string type = message.value("type", "");
    if (type == "stop") platform_->table.stop_all(moment());
    if (type == "exited") {
        platform_->runtime.told_exit(integer_at<int>(message, "pid", 1), integer_at<int>(message, "status"));
    }
    if (type == "not_kept") {
        platform_->log.say(log::Level::error,
                           fmt::format("{} would be lost with this supervisor: {}", message.value("name", ""),
                                       message.value("why", "")));
    }
    finish();
}

io::Task<void> SupervisorProcess::watch_signals(SupervisorProcess* self) {
    for (;;) {
        auto [error, signal] = co_await self->signals_.async_wait(io::result);
        if (error) co_return;
        ProcessTable& table = self->platform_->table;
        if (signal == SIGCHLD) {
            self->platform_->runtime.reap();
            continue;
        }
        if (signal == SIGHUP && !self->options_.foreground) continue;
        if (signal == SIGINT && ++self->interrupts_ > 1) {
            self->platform_->log.say(log::Level::warning, "interrupted again: killing everything");
            table.kill_all(moment());
        } else {
            table.stop_all(moment());
        }
        self->finish();
    }
}

io::Task<void> SupervisorProcess::watch_time(SupervisorProcess* self) {
    for (;;) {
        auto [error] = co_await self->timer_.async_wait(io::result);
        if (error) continue;  // moved to another time
        self->platform_->table.tick(moment());
        self->finish();
    }
}

void SupervisorProcess::finish() {
    if (performing_) return;
    performing_ = true;
    bool did_something = false;
    ProcessTable& table = platform_->table;
    for (std::vector<Effect> effects = table.take_effects(); !effects.empty();
         effects = table.take_effects()) {
        did_something = true;
        for (const Effect& effect : effects) std::visit([this](const auto& what) { perform(what); }, effect);
    }
    performing_ = false;
    platform_->log.keep(table.take_transitions());
    if (const Time next = table.wake_at(); next != timer_.expiry()) timer_.expires_at(next);
    if (did_something) platform_->state.changed();
}

void SupervisorProcess::perform(const Spawn& effect) {
    const Instance* const instance = platform_->table.find(effect.instance);
    if (!instance || instance->state != State::starting) return;
    if (Result<> started = start_life(*instance); !started) {
        starts_.erase(effect.instance);
        platform_->table.ended(effect.instance, "", started.error().text(), moment());
    }
}

Result<> SupervisorProcess::start_life(const Instance& instance) {
    Platform& platform = *platform_;
    if (Result<> log = platform.logs.open(instance); !log) return log;
    Result<InstanceLogs::Ends> ends = platform.logs.ends(instance);
    if (!ends) return std::unexpected(ends.error());
    StartPipes pipes{.output = ends->output.get(), .errors = ends->errors.get()};
    io::Fd link, questions;
    if (instance.role == Role::platform) {
        Result<io::Fd> theirs = platform.parts.prepare(instance.id);
        if (!theirs) return std::unexpected(theirs.error());
        Result<io::Fd> socket = platform.listening.for_questions(instance.name);
        if (!socket) return std::unexpected(socket.error());
        link = std::move(*theirs);
        questions = std::move(*socket);
        pipes.link = link.get();
        pipes.questions = questions.get();
    }
    const LogMarks::Ticket mark = platform.logs.before_start(instance);
    starts_[instance.id] = mark;
    Result<> started = platform.runtime.start(instance, pipes);
    if (!started) platform.logs.started(instance, mark, "");
    return started;
}

void SupervisorProcess::life_started(InstanceId id, const Started& started) {
    Platform& platform = *platform_;
    platform.table.started(id, started, moment());
    const auto mark = starts_.extract(id);
    const Instance* const instance = platform.table.find(id);
    if (!instance) return;
    platform.state.started(*instance);
    if (!mark.empty()) {
        platform.logs.started(*instance, mark.mapped(), fmt::format("started, pid {}", started.pid));
    }
    if (instance->role == Role::platform) connect(*instance);
    finish();
}

// First the endpoints: whom the gateway accepts, it must be able to serve.
void SupervisorProcess::connect(const Instance& part) {
    const Result<> connected = platform_->parts.connect(part.id, part.name);
    if (!connected) return platform_->log.say(log::Level::error, connected.error().message);
    if (part.name == "gateway") perform(Publish{});
    platform_->commands.send_listeners(part.name);
    if (part.name == "control") platform_->state.control_connected();
    platform_->state.changed();
}

void SupervisorProcess::life_ended(InstanceId id, const Exit& exit, const std::string& error) {
    Platform& platform = *platform_;
    if (const Instance* const instance = platform.table.find(id)) {
        platform.logs.ended(*instance, "ended: " + (error.empty() ? exit.text : error));
    }
    starts_.erase(id);
    platform.parts.close(id);
    platform.table.ended(id, exit, error, moment());
    finish();
}

void SupervisorProcess::exit_known(InstanceId id, const Exit& exit) {
    platform_->table.exit_known(id, exit);
    platform_->state.changed();
}

void SupervisorProcess::part_said(InstanceId id, Json message) {
    Platform& platform = *platform_;
    const Instance* const part = platform.table.find(id);
    if (!part) return;
    const std::uint64_t command = link::id_of(message);
    const bool is_control = part->is_part("control");
    Result<link::ToSupervisor> said = link::to_supervisor_from_json(std::move(message));
    if (!said && is_control) return answer(command, std::unexpected(said.error()));
    if (!said) {
        platform.log.say(log::Level::warning, fmt::format("{}: {}", part->name, said.error().message));
        return;
    }
    const auto* const pong = std::get_if<link::Pong>(&*said);
    const auto* const drained = std::get_if<link::Drained>(&*said);
    if (std::holds_alternative<link::Ready>(*said) || (pong && pong->ready)) {
        platform.table.reported_ready(id, moment());
    }
    if (drained && part->is_part("gateway")) platform.table.drained(drained->endpoint, moment());
    if (is_control) obey(*said);
    finish();
}

void SupervisorProcess::obey(const link::ToSupervisor& said) {
    if (const auto* apply = std::get_if<link::Apply>(&said)) {
        answer(apply->id, platform_->commands.apply(*apply));
    }
    if (const auto* restart = std::get_if<link::Restart>(&said)) {
        answer(restart->id, platform_->commands.restart(*restart));
    }
    if (const auto* stopping = std::get_if<link::Stop>(&said)) {
        answer(stopping->id, {});
        platform_->table.stop_all(moment());
    }
}

// The table goes first: whoever gets the reply and looks must not see the state of before.
void SupervisorProcess::answer(std::uint64_t command, const Result<>& done) {
    finish();
    platform_->state.write_now();
    io::Link* const control = platform_->parts.to("control");
    if (!control) return;
    link::Reply reply{command, {}};
    if (!done) reply.error = done.error();
    std::ignore = control->send(to_json(reply));
}

// A part without its link is of no use; mostly it is dead already, or ends as it was told to.
void SupervisorProcess::part_lost(InstanceId id) {
    const Instance* const part = platform_->table.find(id);
    if (part && part->state != State::stopping) platform_->runtime.kill(id);
}

void SupervisorProcess::perform(const Publish&) {
    io::Link* const gateway = platform_->parts.to("gateway");
    if (gateway) std::ignore = gateway->send(to_json(platform_->table.endpoints()));
}

void SupervisorProcess::perform(const Forget& effect) {
    Platform& platform = *platform_;
    platform.runtime.forget(effect.instance);
    platform.parts.close(effect.instance);
    // A log goes on as long as anybody has the program and the number.
    if (platform.table.has_slot(shown_name(effect.app, effect.name), effect.number)) return;
    platform.logs.close(effect.app, effect.name, effect.number, effect.role);
}

void SupervisorProcess::perform(const Finished&) {
    loop_.spawn(stop(this));
}

// Takes what instances printed and what is queued, as far as the disk takes it in time.
io::Task<void> SupervisorProcess::finish_logs() {
    platform_->logs.settle();
    logs_finished_.expires_after(logs_patience);
    platform_->writer.finish([this] { logs_finished_.cancel(); });
    [[maybe_unused]] auto woken = co_await logs_finished_.async_wait(io::result);
}

// The instances are gone; what hid from its instance's stop goes now.
io::Task<void> SupervisorProcess::stop(SupervisorProcess* self) {
    for (int round = 0; round < sweep_rounds; ++round) {
        const std::vector<int> left = self->platform_->runtime.leftovers();
        if (left.empty()) break;
        kill_all(left);
        co_await io::sleep_for(sweep_pause);
    }
    self->platform_->listening.remove_files();
    self->platform_->state.remove();
    self->platform_->log.say(log::Level::info, "everything is stopped");
    co_await self->finish_logs();
    self->exit_code_ = 0;
    self->loop_.stop();
}

// The other one of keeper and supervisor has it back; nothing else notices.
io::Task<void> SupervisorProcess::replace(SupervisorProcess* self, std::string process) {
    const PlatformRows& rows = self->platform_->state.platform();
    if (process == "supervisor") co_await self->finish_logs();
    ::kill(process == "keeper" ? rows.keeper.pid : rows.supervisor.pid, SIGKILL);
}

int run_supervisor(const Options& given) {
    log::init("supervisor");
    raise_limit_remembering();
    ::signal(SIGPIPE, SIG_IGN);
    Options options = given;
    options.data = std::filesystem::absolute(given.data).lexically_normal().string();
    Result<io::Fd> keeper = io::inherited_link();
    if (!keeper) {
        std::fprintf(stderr, "havn: %s\n", keeper.error().text().c_str());
        return 1;
    }
    ::unsetenv(io::link_variable);
    return SupervisorProcess(std::move(options), std::move(*keeper)).run();
}

}  // namespace havn::supervisor
