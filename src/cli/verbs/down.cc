#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "cli/common/lost.h"
#include "cli/common/platform.h"
#include "cli/common/terminal.h"
#include "cli/verbs/verbs.h"
#include "io/clock.h"
#include "io/fd.h"

namespace havn::cli {

namespace {

constexpr Duration down_answer_timeout = seconds(3);
constexpr Duration leave_poll_interval = milliseconds(5);
constexpr Duration signal_interval = seconds(1);
constexpr Duration look_interval = milliseconds(500);
// Without any sign of progress. An instance may take its stop_timeout, of which control tells the longest.
constexpr Duration patience = seconds(60);

class Down {
  public:
    explicit Down(const Platform& platform) : platform_(platform) {}

    // Asks control, or signals the supervisor where control does not answer; waits until nothing runs, at
    // most as long as something still ends.
    int run();

  private:
    Result<> ask();
    bool wait();
    void signal_supervisor();
    void look();
    int tell_what_is_left();

    const Platform& platform_;
    Time began_ = io::now();
    Duration patience_ = patience;
    bool asked_ = false;
    Json rows_ = Json::array();  // as control told them last
    std::size_t most_ = 0;
    Time moved_at_ = io::now();
};

Result<> Down::ask() {
    if (const Result<Json> status = platform_.get("/v1/status", down_answer_timeout)) {
        patience_ += milliseconds(status->value("stop_timeout_ms", 0));
    }
    const Result<Json> told = platform_.send("POST", "/v1/down", nullptr, down_answer_timeout);
    asked_ = told.has_value();
    if (!told && told.error().kind == Error::Kind::denied) {
        return fail(Error::Kind::denied, "the platform belongs to another user",
                    "stop it as that user, or as root");
    }
    const int pid = platform_.supervisor_pid();
    if (!asked_ && platform_.running() && pid > 0 && ::kill(pid, 0) != 0 && errno == EPERM) {
        return fail(Error::Kind::denied, "the platform belongs to another user", "stop it as that user");
    }
    return {};
}

void Down::signal_supervisor() {
    const int pid = platform_.supervisor_pid();
    if (pid > 0) ::kill(pid, SIGTERM);
}

// Control is stopped last: until then it tells how far it is.
void Down::look() {
    const Result<Json> rows = asked_ ? platform_.get("/v1/processes", down_answer_timeout) : Json::array();
    if (!rows || !rows->is_array() || *rows == rows_) return;
    rows_ = *rows;
    moved_at_ = io::now();
    most_ = std::max(most_, rows_.size());
    const bool worth_it = most_ >= 50 || io::now() - began_ > seconds(2);
    if (is_terminal() && worth_it) {
        print(fmt::format("\r{} of {} processes are left \x1b[K", rows_.size(), most_));
    }
}

bool Down::wait() {
    Time next_signal = io::now(), next_look = io::now() + look_interval;
    moved_at_ = io::now();
    while (platform_.running()) {
        if (!asked_ && io::now() >= next_signal) {  // anew for a supervisor that just took over
            signal_supervisor();
            next_signal = io::now() + signal_interval;
        }
        if (io::now() >= next_look) {
            look();
            next_look = io::now() + look_interval;
        }
        if (io::now() - moved_at_ > patience_) return false;
        std::this_thread::sleep_for(leave_poll_interval);
    }
    if (is_terminal() && most_ > 0) print("\r\x1b[K");
    return true;
}

int Down::tell_what_is_left() {
    std::string left;
    for (const Json& row : rows_) {
        if (row.value("kind", "") == "platform" || !row["pid"].is_number_integer()) continue;
        left += fmt::format("{}{}.{} (pid {}, {})", left.empty() ? "" : ", ", row.value("name", ""),
                            row.value("instance", 1), row["pid"].dump(), row.value("state", ""));
    }
    const int pid = platform_.supervisor_pid();
    return print_error(
        {Error::Kind::unavailable,
         fmt::format("it still runs after {}{}",
                     elapsed(std::chrono::duration<double>(io::now() - began_).count()),
                     left.empty() ? "" : ": " + left),
         fmt::format("`havn logs supervisor` says what it waits for; `kill -INT {}` kills what is left",
                     pid)});
}

int Down::run() {
    if (Result<> asked = ask(); !asked) return print_error(asked.error());
    if (!wait()) return tell_what_is_left();
    print(fmt::format("stopped in {}\n", elapsed(std::chrono::duration<double>(io::now() - began_).count())));
    return Exit::ok;
}

// A keeper of that folder that no lock leads to: the folder was removed under it.
constexpr int keeper_wait_ms = 120'000;  // longer than most stop_timeouts

int stop_keeper(int pid) {
    const io::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (pidfd && ::kill(pid, SIGTERM) != 0) return print_error(fail_errno("signal the keeper").error());
    pollfd ended{pidfd.get(), POLLIN, 0};
    int answered = 1;
    while (pidfd && (answered = ::poll(&ended, 1, keeper_wait_ms)) < 0 && errno == EINTR) {
    }
    if (answered == 0) {
        return print_error(
            {Error::Kind::unavailable,
             fmt::format("the platform's keeper (pid {}) was told to stop and still runs", pid),
             fmt::format("it waits for what it had started; `kill -9 {}` ends it at once", pid)});
    }
    print("stopped; its data folder had been removed\n");
    return Exit::ok;
}

int down_without_lock(const std::string& data) {
    for (const Keeper& keeper : running_keepers()) {
        if (keeper.data == data) return stop_keeper(keeper.pid);
    }
    struct stat status{};
    const bool left_a_table = ::stat((data + "/run/processes.json").c_str(), &status) == 0;
    Result<std::size_t> ended = left_a_table ? end_leftovers(data) : Result<std::size_t>(0);
    if (!ended) return print_error(ended.error());
    if (*ended > 0) {
        print(fmt::format(
            "not running; ended {} processes that a platform had left whose keeper and supervisor "
            "were killed\n",
            *ended));
    } else {
        print("not running\n");
    }
    return Exit::ok;
}

// Without a project here: what runs can still be named.
Error with_running(Error error) {
    for (const Keeper& keeper : running_keepers()) {
        error.remedy += fmt::format("\n  to stop the one that runs: havn down --data {}", keeper.data);
    }
    return error;
}

}  // namespace

int down(const Place& place) {
    const Result<std::string> data = find_data(place);
    if (!data) return print_error(with_running(data.error()));
    const Platform platform(*data);
    if (!platform.running()) return down_without_lock(*data);
    return Down(platform).run();
}

}  // namespace havn::cli
