#include <fmt/format.h>
#include <signal.h>

#include <thread>

#include "cli/platform.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "io/clock.h"

namespace havn::cli {

static constexpr Duration answer_timeout = seconds(3);
static constexpr Duration poll_interval = milliseconds(5);
static constexpr Duration signal_interval = seconds(1);

// Instances may take their stop_timeout; the supervisor sees to it that none takes longer.
static void wait_until_gone(const Platform& platform, bool signalling) {
    Time next_signal = io::now();
    while (platform.running()) {
        if (signalling && io::now() >= next_signal) {  // anew for a supervisor that just took over
            const int pid = platform.supervisor_pid();
            if (pid > 0) ::kill(pid, SIGTERM);
            next_signal = io::now() + signal_interval;
        }
        std::this_thread::sleep_for(poll_interval);
    }
}

int down(const Place& place) {
    const Result<std::string> data = find_data(place);
    if (!data) return print_error(data.error());
    const Platform platform(*data);
    if (!platform.running()) {
        print("not running\n");
        return Exit::ok;
    }
    const Time began = io::now();
    const Result<Json> told = platform.send("POST", "/v1/down", nullptr, answer_timeout);
    const int pid = platform.supervisor_pid();
    if (!told && platform.running() && pid > 0 && ::kill(pid, 0) != 0 && errno == EPERM) {
        return print_error(
            {Error::Kind::denied, "the platform belongs to another user", "stop it as that user"});
    }
    wait_until_gone(platform, !told.has_value());  // whoever cannot be asked is signalled
    print(fmt::format("stopped in {}\n", elapsed(std::chrono::duration<double>(io::now() - began).count())));
    return Exit::ok;
}

}  // namespace havn::cli
