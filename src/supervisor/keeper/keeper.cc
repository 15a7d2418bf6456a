#include "supervisor/keeper/keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/log.h"
#include "io/clock.h"
#include "io/link.h"
#include "io/loop.h"
#include "supervisor/core/restart_policy.h"
#include "supervisor/keeper/descriptor_limit.h"
#include "supervisor/keeper/keeper_handover.h"

namespace havn::supervisor {

namespace {

constexpr milliseconds lone_supervisor_grace{1'000};
constexpr std::size_t exits_max = 10'000;

class Keeper {
  public:
    Keeper(const Options& options, std::map<std::string, io::Fd> kept)
        : options_(options),
          kept_(std::move(kept)),
          started_(!kept_.empty()),
          signals_(loop_.context(), SIGTERM, SIGINT, SIGHUP) {
        signals_.add(SIGCHLD);
    }

    int run() {
        loop_.spawn(watch_signals(this));
        start_supervisor();
        loop_.run();
        return exit_code_;
    }

  private:
    using Signals = io::asio::basic_signal_set<io::Executor>;

    void start_supervisor();
    Result<> hand_over();
    void keep(const std::string& name, io::Link::Message message);
    void reap();
    void supervisor_ended(int status);
    static io::Task<void> watch_signals(Keeper* self);
    static io::Task<void> receive(Keeper* self, std::shared_ptr<io::Link> link);
    static io::Task<void> start_later(Keeper* self, milliseconds pause);
    void detach();

    Options options_;
    io::Loop loop_;
    std::map<std::string, io::Fd> kept_;
    std::vector<std::pair<int, int>> exits_;  // pid and status, of what ended while there was no supervisor
    bool started_;                            // this or an earlier supervisor was in charge
    Signals signals_;
    std::shared_ptr<io::Link> link_;
    pid_t supervisor_ = 0;
    bool stopping_ = false;
    Time started_at_{};
    bool in_charge_ = false;  // the present one
    RestartPolicy policy_{RestartLimits{.startretries = 5,
                                        .startsecs = milliseconds(500),
                                        .window = milliseconds(10'000),
                                        .pause_min = milliseconds(100),
                                        .pause_max = milliseconds(5'000)}};
    Random random_{static_cast<std::uint64_t>(::getpid())};
    int exit_code_ = 1;
};

void Keeper::start_supervisor() {
    Result<std::pair<io::Fd, io::Fd>> ends = io::Link::make_pair();
    if (!ends) {
        log::error("cannot start the supervisor: {}; trying again in a second", ends.error().message);
        return loop_.spawn(start_later(this, milliseconds(1'000)));
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::fcntl(ends->second.get(), F_SETFD, 0);
        ::setenv(io::link_variable, std::to_string(ends->second.get()).c_str(), 1);
        execute_self("supervisor", options_);
        ::_exit(127);
    }
    if (pid < 0) {
        log::error("cannot start the supervisor: {}; trying again in a second",
                   fail_errno("fork").error().message);
        return loop_.spawn(start_later(this, milliseconds(1'000)));
    }
    supervisor_ = pid;
    in_charge_ = false;
    started_at_ = io::now();
    link_ = std::make_shared<io::Link>(loop_.executor(), std::move(ends->first));
    if (Result<> handed = hand_over(); !handed) {  // half of it would be worse than a later whole
        log::error("cannot hand over to the supervisor: {}; trying again", handed.error().message);
        link_->close();
        ::kill(pid, SIGKILL);
        return;
    }
    loop_.spawn(receive(this, link_));
}

Result<> Keeper::hand_over() {
    std::vector<std::string> names;
    std::vector<int> fds;
    const auto send = [&]() -> Result<> {
        return link_->send({{"type", "kept"}, {"names", std::exchange(names, {})}}, std::exchange(fds, {}));
    };
    for (const auto& [name, fd] : kept_) {
        names.push_back(name);
        fds.push_back(fd.get());
        if (fds.size() < io::Link::descriptors_max) continue;
        if (Result<> sent = send(); !sent) return sent;
    }
    if (Result<> sent = send(); !sent) return sent;
    if (Result<> sent = link_->send({{"type", "exits"}, {"exits", exits_}}); !sent) return sent;
    exits_.clear();
    if (Result<> sent = link_->send({{"type", "begin"}}); !sent) return sent;
    return stopping_ ? link_->send({{"type", "stop"}}) : Result<>();
}

void Keeper::keep(const std::string& name, io::Link::Message message) {
    if (message.descriptors.size() == 1) {
        kept_.insert_or_assign(name, std::move(message.descriptors[0]));
        return;
    }
    const std::string why = "the keeper has no room for another descriptor (RLIMIT_NOFILE)";
    log::error("{} is not kept: {}", name, why);
    std::ignore = link_->send({{"type", "not_kept"}, {"name", name}, {"why", why}});
}

io::Task<void> Keeper::receive(Keeper* self, std::shared_ptr<io::Link> link) {
    for (;;) {
        Result<io::Link::Message> message = co_await link->receive();
        if (!message) break;
        const std::string type = message->body.value("type", "");
        const std::string name = message->body.value("name", "");
        if (type == "keep") {
            self->keep(name, std::move(*message));
        } else if (type == "drop") {
            self->kept_.erase(name);
        } else if (type == "started") {
            self->in_charge_ = true;
            if (!std::exchange(self->started_, true)) self->detach();
        }
    }
    // It is ending. One that lives on without its link hears nothing any more, and must not stay beside the
    // next.
    const pid_t pid = self->supervisor_;
    co_await io::sleep_for(lone_supervisor_grace);
    if (link == self->link_ && pid != 0 && pid == self->supervisor_) ::kill(pid, SIGKILL);
}

// From here on nobody may wait for our standard streams to close.
void Keeper::detach() {
    if (options_.foreground) return;
    redirect_standard_streams(options_.data + "/logs/supervisor.log");
}

io::Task<void> Keeper::watch_signals(Keeper* self) {
    for (;;) {
        auto [error, signal] = co_await self->signals_.async_wait(io::result);
        if (error) co_return;
        if (signal == SIGCHLD) {
            self->reap();
            continue;
        }
        if (signal == SIGHUP && !self->options_.foreground) continue;
        self->stopping_ = true;
        if (self->supervisor_ != 0) ::kill(self->supervisor_, SIGTERM);
    }
}

void Keeper::reap() {
    int status = 0;
    while (const pid_t pid = ::waitpid(-1, &status, WNOHANG)) {
        if (pid < 0) break;
        if (pid == supervisor_) {
            supervisor_ended(status);
        } else if (supervisor_ != 0) {
            std::ignore = link_->send({{"type", "exited"}, {"pid", pid}, {"status", status}});
        } else if (exits_.size() < exits_max) {
            exits_.emplace_back(pid, status);
        }
    }
}

void Keeper::supervisor_ended(int status) {
    supervisor_ = 0;
    link_->close();
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || !started_)) {
        exit_code_ = WEXITSTATUS(status);
        return loop_.stop();
    }
    const std::string how = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                                : fmt::format("exit {}", WEXITSTATUS(status));
    const Time now = io::now();
    const milliseconds pause = policy_.after_life(in_charge_, now - started_at_, now, random_);
    if (pause == milliseconds(0)) {
        start_supervisor();
        log::warning("the supervisor ended ({}); the next one takes over everything that runs", how);
        return;
    }
    log::error("the supervisor ended ({}) and keeps failing; the next one starts in {} ms", how,
               pause.count());
    loop_.spawn(start_later(this, pause));
}

io::Task<void> Keeper::start_later(Keeper* self, milliseconds pause) {
    co_await io::sleep_for(pause);
    self->start_supervisor();
}

}  // namespace

int run_keeper(const Options& given) {
    log::init("keeper");
    raise_limit_remembering();
    ::signal(SIGPIPE, SIG_IGN);
    Options options = given;
    options.data = std::filesystem::absolute(given.data).lexically_normal().string();
    if (!options.foreground) ::setsid();  // fails in a session leader, which has what it needs
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        log::warning("orphans of instances go to init: no subreaper");
    }
    return Keeper(options, take_handover()).run();
}

}  // namespace havn::supervisor
