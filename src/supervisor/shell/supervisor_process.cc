#include "supervisor/shell/supervisor_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "io/clock.h"
#include "io/file.h"
#include "supervisor/core/command.h"
#include "supervisor/shell/data_folder.h"
#include "supervisor/shell/keeper_handover.h"
#include "supervisor/shell/leftovers.h"
#include "supervisor/shell/process_tree.h"

namespace havn::supervisor {

static constexpr milliseconds retry_pause{2'000};
static constexpr std::uint64_t versions_skipped = 1'000'000;
static constexpr int sweep_rounds = 100;
static constexpr milliseconds sweep_pause{20};

static std::uint64_t random_number() {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) {
        number = static_cast<std::uint64_t>(io::now().time_since_epoch().count());
    }
    return number;
}

SupervisorProcess::SupervisorProcess(Options options, io::Fd keeper)
    : options_(std::move(options)),
      keeper_(loop_.executor(), std::move(keeper)),
      fleet_(random_number()),
      timer_(loop_.executor(), Time::max()),
      signals_(loop_.context(), SIGTERM, SIGINT, SIGHUP),
      ports_(random_number()),
      next_port_(static_cast<std::uint16_t>(10'000 + ports_.below(22'000))) {
    signals_.add(SIGCHLD);
    store_.set_keeper(&keeper_);
}

Moment SupervisorProcess::now() {
    return {io::now(), io::wall_now()};
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

static std::map<int, int> exits_from(const Json& message) {
    std::map<int, int> exits;
    for (const Json& entry : message.value("exits", Json::array())) {
        if (!entry.is_array() || entry.size() != 2) continue;
        const std::optional<int> pid = integer_of<int>(entry[0], 1), status = integer_of<int>(entry[1]);
        if (pid && status) exits[*pid] = *status;
    }
    return exits;
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
    Result<bool> continues = self->prepare_folder();
    if (!continues) co_return self->refuse(continues.error());
    if (!*continues) co_await self->end_leftovers();
    self->loop_.spawn(watch_signals(self));
    self->take_over(*continues);
    self->load_accepted(*continues);
    for (const auto& [id, pid] : std::exchange(self->dead_, {})) {
        const auto exit = self->exits_.find(pid);
        self->fleet_.ended(id,
                           exit == self->exits_.end()
                               ? Exit("not known: it ended while there was no supervisor")
                               : exit_of(exit->second),
                           "", now());
    }
    self->exits_.clear();
    self->perform();
    self->loop_.spawn(watch_time(self));
    self->loop_.spawn(watch_keeper(self));
    std::ignore = self->keeper_.send({{"type", "started"}});
    if (!self->options_.foreground) redirect_standard_streams(self->own_log_.path());
}

Result<bool> SupervisorProcess::prepare_folder() {
    if (Result<> entered = enter_data_folder(options_.data); !entered)
        return std::unexpected(entered.error());
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
    Result<Accounts> accounts = platform_accounts(options_.data);
    if (!accounts) return std::unexpected(accounts.error());
    accounts_ = std::move(*accounts);
    listening_ = std::make_unique<ListeningSockets>(store_, accounts_);
    if (Result<> prepared = prepare_folders(options_.data, accounts_); !prepared)
        return std::unexpected(prepared.error());
    Result<io::Fd> executable = io::open_file("/proc/self/exe", O_RDONLY);
    if (!executable) return std::unexpected(executable.error());
    executable_ = std::move(*executable);
    if (options_.foreground) foreground_ = std::make_unique<Foreground>(loop_.executor(), 1);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    return continues;
}

// Keeper and supervisor died together: what they had started runs on with nobody reading its output.
io::Task<void> SupervisorProcess::end_leftovers() {
    for (int round = 0; round < sweep_rounds; ++round) {
        const std::vector<int> left = find_leftovers();
        if (left.empty()) co_return;
        if (round == 0) {
            say(log::Level::warning,
                fmt::format(
                    "{} processes are left from a platform whose keeper and supervisor died; ending them",
                    left.size()));
        }
        kill_all(left);
        co_await io::sleep_for(sweep_pause);
    }
}

void SupervisorProcess::take_over(bool continues) {
    platform_rows_.keeper = {::getppid(), 0, io::wall_now()};
    platform_rows_.supervisor = {::getpid(), 0, io::wall_now()};
    table_revision_ =
        static_cast<std::uint64_t>(platform_rows_.supervisor.since.time_since_epoch() / milliseconds(1));
    const Result<std::string> text = continues ? read_state(state_file) : fail(Error::Kind::not_found, "");
    Result<Json> json = text ? parse_json(*text) : std::unexpected(text.error());
    Result<SavedState> saved = json ? saved_state_from_json(*json) : std::unexpected(json.error());
    if (!saved) {
        ::unlink(journal_file);  // of an earlier platform
        run_ = fmt::format("{:016x}{:016x}", random_number(), random_number());
        if (Result<> kept = store_.keep("run", executable_.get()); !kept)
            say(log::Level::error, kept.error().message);
        if (continues) say(log::Level::error, "the process table is lost: " + saved.error().message);
        return;
    }
    if (const Result<std::string> lines = read_state(journal_file)) add_spawned(*saved, *lines);
    run_ = saved->run;
    const PlatformRows before = platform_rows_from_json((*json)["platform"]);
    platform_rows_.supervisor.restarts = before.supervisor.restarts + 1;
    if (before.keeper.pid == platform_rows_.keeper.pid) {
        platform_rows_.keeper = before.keeper;
    } else {
        platform_rows_.keeper.restarts = before.keeper.restarts + 1;
    }
    // Further on than any version that was sent and not written down any more.
    fleet_.continue_endpoints(saved->endpoints_version + versions_skipped);
    std::set<std::string> spared;
    for (const Unit& unit : saved->units) spared.insert(unit.cookie);
    for (Unit& unit : saved->units) adopt(std::move(unit));
    kill_all(find_run(run_, spared));  // started in the last moment, before it could be written down
    say(log::Level::warning,
        fmt::format("a new supervisor (pid {}) has taken over {} processes", ::getpid(), processes_.size()));
}

void SupervisorProcess::adopt(Unit unit) {
    const UnitId id = unit.id;
    const int pid = unit.pid;
    const bool had_process = has_process(unit.state);
    const bool lives = pid != 0 && start_time_of(pid) == unit.start_time;
    io::Fd pidfd(lives ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1);
    fleet_.adopt(std::move(unit), now());
    const Unit& adopted = *fleet_.find(id);
    // Also of one that is dead: what it said last is still in the pipe.
    if (Result<> log = open_log(adopted); !log) say(log::Level::error, log.error().message);
    if (!pidfd) {
        if (had_process) dead_.emplace_back(id, pid);
        return;
    }
    Process& process = processes_[id];
    process.pidfd = std::make_shared<io::Descriptor>(loop_.executor(), pidfd.release());
    if (adopted.role == Role::platform) {
        Result<io::Fd> link = store_.duplicate(fmt::format("link|{}", id));
        if (link) {
            connect_part(id, pid, std::move(*link));
            // Its one word that it is ready may have died with the supervisor that heard it: it says so
            // again.
            if (adopted.state == State::starting) std::ignore = process.link->send(to_json(link::Ping{}));
        } else {
            ::kill(pid, SIGKILL);  // started in the last moment; without a link it is of no use
        }
    }
    process.shell_stays =
        adopted.role != Role::platform && parse_command(adopted.program->command).shell_stays;
    loop_.spawn(watch_exit(this, id, pid, process.pidfd));
}

// What was accepted last, from our own copy: applied/ is control's, and decides nothing here. Without a copy
// control alone is started, and tells what to run.
void SupervisorProcess::load_accepted(bool continues) {
    Result<std::string> text = read_state(desired_file);
    if (!text && text.error().kind == Error::Kind::not_found) return fleet_.begin(now());
    Result<Json> json = text ? parse_json(*text) : std::unexpected(text.error());
    Result<Desired> desired = json ? desired_from_json(*json) : std::unexpected(json.error());
    if (!desired) {
        say(log::Level::error, "the accepted configuration cannot be used: " + desired.error().text());
        return fleet_.begin(now());
    }
    accepted_ = *desired;
    Result<bool> listening = listening_->change_to(*desired);
    if (!listening && continues) {  // what runs is worth more than a listener
        say(log::Level::error, listening.error().text());
    } else if (!listening) {
        say(log::Level::error, fmt::format("the application is not started: {}; trying again every {} s",
                                           listening.error().text(), retry_pause.count() / 1'000));
        loop_.spawn(retry_accepted(this));
        return fleet_.begin(now());
    }
    applied_ = true;
    fleet_.apply(*desired, now());
}

io::Task<void> SupervisorProcess::retry_accepted(SupervisorProcess* self) {
    co_await io::sleep_for(retry_pause);
    if (self->applied_ || self->fleet_.stopping()) co_return;
    self->load_accepted(false);
    self->perform();
}

io::Task<void> SupervisorProcess::watch_keeper(SupervisorProcess* self) {
    for (;;) {
        Result<io::Link::Message> message = co_await self->keeper_.receive();
        if (!message) break;
        self->on_keeper(message->body);
    }
    if (self->fleet_.stopping()) co_return;
    self->say(log::Level::warning,
              "the keeper ended; this process becomes the keeper and starts the next supervisor");
    self->write_changes();
    become_keeper(self->options_, self->store_.all());
    self->say(log::Level::error, "cannot become the keeper: " + fail_errno("execute").error().message);
}

void SupervisorProcess::on_keeper(const Json& message) {
    const std::string type = message.value("type", "");
    if (type == "stop") fleet_.stop_all(now());
    if (type == "exited")
        on_told_exit(integer_at<int>(message, "pid", 1), integer_at<int>(message, "status"));
    if (type == "not_kept") {
        say(log::Level::error, fmt::format("{} would be lost with this supervisor: {}",
                                           message.value("name", ""), message.value("why", "")));
    }
    perform();
}

io::Task<void> SupervisorProcess::watch_signals(SupervisorProcess* self) {
    for (;;) {
        auto [error, signal] = co_await self->signals_.async_wait(io::result);
        if (error) co_return;
        if (signal == SIGCHLD) {
            self->reap();
            continue;
        }
        if (signal == SIGHUP && !self->options_.foreground) continue;
        if (signal == SIGINT && ++self->interrupts_ > 1) {
            self->say(log::Level::warning, "interrupted again: killing everything");
            self->fleet_.kill_all(now());
        } else {
            self->fleet_.stop_all(now());
        }
        self->perform();
    }
}

io::Task<void> SupervisorProcess::watch_time(SupervisorProcess* self) {
    for (;;) {
        auto [error] = co_await self->timer_.async_wait(io::result);
        if (error) continue;  // moved to another time
        self->fleet_.tick(now());
        self->perform();
    }
}

// The units are gone; what hid from its unit's stop goes now.
io::Task<void> SupervisorProcess::finish(SupervisorProcess* self) {
    for (int round = 0; round < sweep_rounds; ++round) {
        std::vector<int> left = find_run(self->run_);
        for (const ProcessFacts& facts : read_all_processes()) {
            if (facts.parent == ::getpid() && facts.state != 'Z') left.push_back(facts.pid);
        }
        if (left.empty()) break;
        kill_all(left);
        co_await io::sleep_for(sweep_pause);
    }
    self->finished_ = true;
    self->logs_.clear();
    self->listening_->remove_files();
    ::unlink(state_file);
    ::unlink(journal_file);
    self->say(log::Level::info, "everything is stopped");
    self->exit_code_ = 0;
    self->loop_.stop();
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
