#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <deque>

#include "cli/common/events.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/loop.h"
#include "logs/log_follower.h"
#include "rpc/client.h"

namespace havn::cli {

using io::Task;

namespace {

constexpr Duration control_timeout = seconds(20);  // from the keeper's start to control's first answer
constexpr Duration answer_timeout = seconds(90);
constexpr Duration poll_interval = milliseconds(5);
constexpr Duration log_interval = milliseconds(100);
constexpr std::size_t kept_lines = 50;  // of what the keeper printed, for when it fails

// One `havn up`: starts the platform unless it runs, applies the manifest, and stays (in the foreground) or
// leaves.
class Up {
  public:
    Up(const UpOptions& options, Project project)
        : options_(options),
          project_(std::move(project)),
          platform_(project_.data),
          output_(loop_.context()),
          ended_(loop_.context()),
          signals_(loop_.context(), SIGINT, SIGTERM, SIGHUP) {}

    int run();

  private:
    Result<> start_keeper();
    [[noreturn]] void become_keeper(int output);
    Task<void> live();
    Task<Result<>> reach_control();
    Task<Result<>> apply(std::shared_ptr<EventPrinter> printer);
    Task<void> follow_logs();
    Task<void> read_output();
    Task<void> watch_keeper();
    Task<void> watch_signals();
    void on_line(std::string line);
    void stop_keeper(int signal);
    void summarise(const EventPrinter& printer);
    void finish(int code) {
        exit_code_ = code;
        loop_.stop();
    }

    UpOptions options_;
    Project project_;
    Platform platform_;
    io::Loop loop_;
    io::Descriptor output_;  // what the keeper and, in the foreground, the instances print
    io::Descriptor ended_;   // the keeper's pidfd
    io::asio::basic_signal_set<io::Executor> signals_;
    Time began_ = io::now();
    pid_t keeper_ = 0;       // 0: it ran already
    bool stopping_ = false;  // somebody asked us to
    std::string replaced_;   // that what runs is another binary than this
    std::deque<std::string> lines_;
    int exit_code_ = Exit::failed;
};

int Up::run() {
    if (platform_.running()) {
        if (!options_.detached) print("the platform runs already; applying what changed\n");
    } else if (Result<> started = start_keeper(); !started) {
        return print_error(started.error());
    }
    loop_.spawn(watch_signals());
    if (keeper_ > 0) {
        loop_.spawn(read_output());
        loop_.spawn(watch_keeper());
    }
    loop_.spawn(live());
    loop_.run();
    return exit_code_;
}

Result<> Up::start_keeper() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
    io::Fd reading(ends[0]), writing(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return fail_errno("fork");
    if (pid == 0) become_keeper(writing.get());
    keeper_ = pid;
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0) return fail_errno("pidfd_open", errno);
    ended_.assign(pidfd);
    output_.assign(reading.release());
    return {};
}

// In the child. A process group of its own: Ctrl-C reaches us alone, and we tell it once.
void Up::become_keeper(int output) {
    if (options_.detached) {
        ::setsid();
    } else {
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    }
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(null, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::signal(SIGPIPE, SIG_DFL);
    const char* arguments[] = {"havn", "keeper", "--data", project_.data.c_str(), nullptr, nullptr};
    if (!options_.detached) arguments[4] = "--foreground";
    ::execv("/proc/self/exe", const_cast<char**>(arguments));
    ::dprintf(STDERR_FILENO, "cannot execute havn: %s\n", ::strerror(errno));
    ::_exit(127);
}

Task<void> Up::live() {
    Result<> reached = co_await reach_control();
    if (stopping_) co_return;  // the keeper's end ends us
    // In the foreground the supervisor's own lines tell what happens.
    const EventPrinter::Show show{.plan = keeper_ == 0, .steps = keeper_ == 0 || options_.detached};
    auto printer = std::make_shared<EventPrinter>(platform_.log_folder(), show);
    if (reached) reached = co_await apply(printer);
    if (stopping_) co_return;
    if (!reached) {
        print_error(reached.error());
        if (keeper_ == 0) co_return finish(Exit::failed);
        stop_keeper(SIGTERM);  // it runs for nothing; its end ends us
        co_return;
    }
    summarise(*printer);
    if (options_.detached) co_return finish(printer->ok() ? Exit::ok : Exit::failed);
    if (keeper_ == 0) co_await follow_logs();
}

Task<Result<>> Up::reach_control() {
    const Time deadline = io::now() + control_timeout;
    for (;;) {
        rpc::Client client(platform_.socket_address());
        Result<Json> status = co_await client.request("GET", "/v1/status", nullptr, seconds(5));
        if (status && keeper_ == 0) replaced_ = replaced_binary(*status);
        if (status) co_return Result<>{};
        if (stopping_) co_return std::unexpected(status.error());
        if (status.error().kind != Error::Kind::unavailable || io::now() > deadline) {
            Error error = status.error();
            if (error.kind == Error::Kind::denied) error.remedy = "the platform belongs to another user";
            co_return std::unexpected(std::move(error));
        }
        co_await io::sleep_for(poll_interval);
    }
}

Task<Result<>> Up::apply(std::shared_ptr<EventPrinter> printer) {
    const Json body = request_body(project_, options_.force);
    for (int attempt = 1;; ++attempt) {
        rpc::Client client(platform_.socket_address());
        Result<rpc::LineReader> lines = co_await client.stream("POST", "/v1/apply", body, answer_timeout);
        if (!lines) co_return std::unexpected(lines.error());
        Result<std::optional<Json>> line = co_await lines->next(Platform::silence_max);
        while (line && *line) {
            printer->on(**line);
            line = co_await lines->next(Platform::silence_max);
        }
        if (printer->finished()) co_return Result<>{};
        // Control died while it told us how it goes. What it accepted holds; ask its successor.
        if (attempt == 3) co_return std::unexpected(Platform::went_away());
        Result<> back = co_await reach_control();
        if (!back) co_return back;
    }
}

// Where a browser finds it: a wildcard address is shown as localhost.
std::string url_of(std::string address) {
    for (const std::string_view any : {"0.0.0.0:", "[::]:"}) {
        if (address.starts_with(any)) address = "localhost:" + address.substr(any.size());
    }
    return "http://" + address;
}

std::string indented(const std::string& lines) {
    std::string text;
    for (std::size_t begin = 0; begin < lines.size();) {
        const std::size_t end = std::min(lines.find('\n', begin), lines.size());
        text += "  " + lines.substr(begin, end - begin) + "\n";
        begin = end + 1;
    }
    return text;
}

void Up::summarise(const EventPrinter& printer) {
    const std::string took = elapsed(std::chrono::duration<double>(io::now() - began_).count());
    std::string urls;
    for (const Json& address : printer.done().value("gateway", Json::array())) {
        urls += " " + paint(Colour::bold, url_of(address.get<std::string>()));
    }
    if (!printer.ok()) {
        print(fmt::format("{} after {}:\n{}everything else runs. `havn ps` shows it, `havn down` stops it\n",
                          paint(Colour::red, "not everything is ready"), took, indented(printer.cause())));
    } else {
        print(fmt::format("{} in {}:{}\n", paint(Colour::green, "ready"), took, urls));
    }
    for (const Json& address : printer.done().value("metrics", Json::array())) {
        print(fmt::format("metrics on {}/metrics\n", url_of(address.get<std::string>())));
    }
    if (!replaced_.empty()) print("note: " + replaced_ + "\n");
    if (!options_.detached) {
        print(keeper_ > 0 ? "Ctrl-C stops it\n" : "Ctrl-C leaves the logs; it goes on running\n");
    }
}

// Of a platform that somebody else started.
Task<void> Up::follow_logs() {
    logs::LogFollower logs(platform_.log_folder(), "", 0);
    logs.last(0);
    while (platform_.running()) {
        for (const logs::LogLine& line : logs.poll()) {
            on_line(fmt::format("{}.{} | {}", line.name, line.instance, line.entry.text));
        }
        co_await io::sleep_for(log_interval);
    }
    print("the platform was stopped\n");
    finish(Exit::ok);
}

Task<void> Up::read_output() {
    std::string unread;
    std::string buffer(65536, '\0');
    for (;;) {
        auto [error, size] = co_await output_.async_read_some(io::asio::buffer(buffer), io::result);
        if (error) co_return;
        unread.append(buffer, 0, size);
        std::size_t begin = 0;
        for (std::size_t end; (end = unread.find('\n', begin)) != std::string::npos; begin = end + 1) {
            on_line(unread.substr(begin, end - begin));
        }
        unread.erase(0, begin);
    }
}

void Up::on_line(std::string line) {
    if (options_.detached) {
        lines_.push_back(std::move(line));
        if (lines_.size() > kept_lines) lines_.pop_front();
        return;
    }
    const std::size_t bar = line.find(" | ");
    const std::size_t label = line.find(' ');  // the supervisor pads names to one width
    if (bar != std::string::npos && line.find_first_not_of(' ', label) == bar + 1) {
        line = paint_name(line.substr(0, label)) + line.substr(label, bar - label) +
               paint(Colour::faint, " | ") + line.substr(bar + 3);
    }
    print(line + "\n");
}

// It ends when asked to, when it cannot start, or killed; in the last case the supervisor takes its place.
Task<void> Up::watch_keeper() {
    [[maybe_unused]] auto ready = co_await ended_.async_wait(io::Descriptor::wait_read, io::result);
    int status = 0;
    ::waitpid(keeper_, &status, 0);
    while (platform_.running()) co_await io::sleep_for(poll_interval);
    co_await io::sleep_for(poll_interval);  // what it printed last is read meanwhile
    for (const std::string& line : lines_) print(line + "\n");
    if (stopping_) {
        const bool stopped = (WIFEXITED(status) && WEXITSTATUS(status) == 0) || WIFSIGNALED(status);
        if (options_.detached && stopped) print("stopped; nothing of it runs\n");
        co_return finish(stopped && !options_.detached ? Exit::ok : Exit::failed);
    }
    print_error({Error::Kind::internal, "the platform ended by itself",
                 "see " + platform_.log_folder() + "/supervisor.log"});
    finish(Exit::failed);
}

Task<void> Up::watch_signals() {
    for (;;) {
        auto [error, signal] = co_await signals_.async_wait(io::result);
        if (error) co_return;
        if (keeper_ == 0) {  // only we leave
            if (options_.detached) print("\ninterrupted; what was accepted goes on: see `havn ps`\n");
            co_return finish(options_.detached ? Exit::failed : Exit::ok);
        }
        print(stopping_ ? "killing what is left\n" : "\nstopping what was started; Ctrl-C again kills\n");
        stop_keeper(SIGINT);
    }
}

// The whole group: a second signal must reach the supervisor itself.
void Up::stop_keeper(int signal) {
    stopping_ = true;
    if (::kill(-keeper_, signal) != 0) ::kill(keeper_, signal);  // it may not have its group yet
}

// Says why nothing could be kept there, before anything is started.
Result<> prepare_data(const std::string& data) {
    const std::string remedy = "make it writable for this user, or give another folder with --data DIR";
    Result<> made = io::make_folder(data, 0700);
    if (!made) return fail(made.error().kind, "cannot make the data folder: " + made.error().message, remedy);
    if (Result<io::Fd> ours = io::open_own_folder(data); !ours) return std::unexpected(ours.error());
    const std::string probe = data + "/.writable";
    Result<io::Fd> file = io::open_file(probe, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (!file) {
        return fail(file.error().kind, "cannot write to the data folder: " + file.error().message, remedy);
    }
    Result<> written = io::write_all(file->get(), "x");
    ::unlink(probe.c_str());
    if (!written) {
        return fail(written.error().kind, "cannot write to " + data + ": " + written.error().message, remedy);
    }
    return {};
}

}  // namespace

int up(const UpOptions& options) {
    Result<Project> project = open_project(options.place);
    if (!project) return print_error(project.error());
    const std::optional<manifest::Manifest> wanted = check_manifest(*project);
    if (!wanted) return Exit::failed;
    if (!check_host(*project, *wanted)) {
        const bool runs = Platform(project->data).running();
        print(runs ? "nothing was changed; what runs goes on\n" : "nothing was started\n");
        return Exit::failed;
    }
    if (Result<> prepared = prepare_data(project->data); !prepared) return print_error(prepared.error());
    return Up(options, std::move(*project)).run();
}

}  // namespace havn::cli
